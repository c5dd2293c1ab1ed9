/*
 * options.h: values of the options of options.def. Readers see a valid value
 * at any time: the defaults are static, and each value is one atomic word.
 */
#ifndef BASE_OPTIONS_H
#define BASE_OPTIONS_H

#include "base/atomic.h"
#include "base/base.h"

/* Values of the option numa, in the order of their names. */
enum numa_mode { NUMA_PREFERRED, NUMA_STRICT, NUMA_INTERLEAVE, NUMA_LOCAL, NUMA_OFF, NUMA_MODES };

/*
 * Values of the option policy; a fixed strategy is POLICY_FIXED + its number. Strategy i keeps
 * freed blocks of up to the i-th threshold resident, and has larger ones purged.
 */
enum policy_mode { POLICY_OFF, POLICY_LEARN, POLICY_FROZEN, POLICY_FIXED };
#define POLICY_THRESHOLDS                                                                          \
	512 * KIB, 768 * KIB, 1 * MIB, 1536 * KIB, 2 * MIB, 3 * MIB, 4 * MIB, 6 * MIB, 8 * MIB,    \
		12 * MIB, 16 * MIB, 32 * MIB
#define POLICY_ARMS 12

/* The secure library guards some allocations unless it is told not to. */
#define GUARD_SAMPLE_DEFAULT (HAK_SECURE ? 5000 : 0)

struct options {
#define OPTION(name, kind, value, least, most, when, text) _Atomic(size_t) x_##name; /* any */
#include "base/options.def"
#undef OPTION
};
extern struct options options;

/* The value of the option policy_file; empty: none. Changed at start-up only. */
#define OPTION_PATH_BYTES 1024
extern char options_policy_file[OPTION_PATH_BYTES];

/*
 * The option limit is two numbers of MiB in one word, so that both change at
 * once; 0 means no limit. In bytes:
 */
static inline size_t limit_soft_of(size_t limit)
{
	return (limit >> 32) * MIB;
}

static inline size_t limit_hard_of(size_t limit)
{
	return (limit & 0xffffffffu) * MIB;
}

/* Reads HAKMEM_* from an environment; a bad value is reported and left out. */
void options_parse(char **environment);

/* For hak_option_set and hak_option_get; results as documented there. */
int option_set(const char *name, const char *value);
int option_get(const char *name, char *text, size_t bytes);

#endif
