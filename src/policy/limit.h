/*
 * limit.h: how much memory the process should have: what the user says
 * (HAKMEM_LIMIT) and what its control group allows.
 */
#ifndef POLICY_LIMIT_H
#define POLICY_LIMIT_H

#include "base/atomic.h"
#include "base/base.h"
#include "base/options.h"

extern _Atomic(size_t) x_limit_group; /* any: relaxed; bytes, 0 if there is no limit */

/* Is there any limit? All that a process without one pays. */
static inline bool limit_exists(void)
{
	return load_rlx(&options.x_limit) || load_rlx(&x_limit_group);
}

/* Above `soft` everything idle is purged; `hard` is never passed. SIZE_MAX if there is none. */
size_t limit_soft(void);
size_t limit_hard(void);

/*
 * Reads the limits of this process's control group (version 2); when that cannot
 * be done, what was read before stays. Preserves errno.
 */
void limit_read_group(void);

/*
 * The same of a tree that is mounted, and a process file that lies, elsewhere, for
 * tests: in *bytes, 0 if there is no limit. False: the process file cannot be read.
 */
bool limit_of_group(const char *mount, const char *process_file, size_t *bytes);

/* In the child of a fork: nobody else reads. */
void limit_forked(void);

#endif
