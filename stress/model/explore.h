/*
 * explore.h: an explorer of small concurrent programs, for those who write models.
 * A model is up to four threads that call the library's own functions. These are
 * compiled with the hooks that ThreadSanitizer uses, but linked with the explorer
 * instead, which sees every access and decides, at each atomic one, which thread
 * goes on and which store a load gets to see: every one that C11 allows, in every
 * order. A model fails when its check does, when two plain accesses race, when
 * nobody can go on, or when the library finds itself in error.
 *
 * What is explored, and what is not: docs/models.md.
 */
#ifndef MODEL_EXPLORE_H
#define MODEL_EXPLORE_H

#include "base/atomic.h"
#include "base/base.h"

/* Number 0 is who sets up and checks, alone. */
#define MODEL_THREADS 5

struct scenario {
	const char *model; /* what the order table calls it; several may share one name */
	const char *name;
	void (*setup)(void); /* once; what it leaves is what each execution begins with */
	void (*thread[MODEL_THREADS - 1])(void);
	void (*check)(void); /* at the end of each execution; may call model_outcome */
	unsigned helper;     /* a thread that may be asleep at the end, for good */
	unsigned timers;     /* how many sleeps with a limit may reach it, in one execution */
	uint64_t most;       /* executions, where all would be too many; else 0 */
	const char *proves;  /* entries of the order table, "F1 F2"; of the first of a model */
	/* Of a litmus test: the outcomes, all of them and no others; ended by MODEL_NO_MORE. */
	const uint64_t *outcomes;
	const char *fails; /* of a test of the explorer: with this in its message it has to fail */
};
#define MODEL_NO_MORE UINT64_MAX

/* Ended by one without a model. */
extern const struct scenario litmus_scenarios[], inbox_scenarios[], slices_scenarios[],
	guard_scenarios[], granules_scenarios[], pages_scenarios[], heaps_scenarios[],
	leases_scenarios[], helper_scenarios[], reap_scenarios[], tables_scenarios[],
	share_scenarios[];

/* In a thread or a check: the execution has failed. Does not return. */
_Noreturn void model_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define MODEL_CHECK(cond, ...)                                                                     \
	do {                                                                                       \
		if (unlikely(!(cond)))                                                             \
			model_fail(__VA_ARGS__);                                                   \
	} while (0)

/* In a check: what this execution came to. */
void model_outcome(uint64_t outcome);

/* The running thread, from 1. */
unsigned model_self(void);

/*
 * In a set-up: atomic accesses there are statistics. They decide nothing that this
 * model checks, so their order is not explored; only values of the newest store are seen.
 */
void model_ignore(const volatile void *p, size_t bytes);

/*
 * The same of what another model checks: releases and acquires there order what comes
 * before and after them.
 */
void model_trust(const volatile void *p, size_t bytes);

/* What was read last will change: not before another store to it has been made. */
void model_yield(void);

/* Sleeps and wakes as a futex does. */
void model_sleep(_Atomic(uint32_t) *word, uint32_t value, bool limited);
void model_wake(_Atomic(uint32_t) *word);

/*
 * Read sections and grace periods: a section that began before the grace period ends
 * before it; any other sees what came before the grace period.
 */
void model_rcu_lock(void);
void model_rcu_unlock(void);
void model_rcu_wait(void);

/* The kernel writes to memory, on behalf of this thread; what it writes nobody looks at. */
void model_write_range(void *start, size_t bytes);

/* Zeroed memory until the end of the execution, or of the model when it is being set up. */
void *model_memory(size_t bytes, size_t align);

/* In a set-up: whether the kernel refuses memory that the library asks for, from now on. */
void model_refuse_memory(bool refuse);

/* The same of liburcu. */
void model_refuse_library(bool refuse);

#endif
