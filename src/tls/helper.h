/*
 * helper.h: the helper thread, which gives idle memory back while nobody calls
 * malloc or free. It owns no memory and holds nothing that others wait for.
 */
#ifndef TLS_HELPER_H
#define TLS_HELPER_H

#include "base/base.h"
#include "segments/region.h"

#include <pthread.h>

typedef int thread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

/*
 * Starts the helper with the given function, unless it runs already or is
 * switched off. Only outside malloc and free: creating a thread allocates and
 * locks. Returns 0 or what `create` returned.
 */
int helper_start(thread_create *create);

/* In a forked child there is no helper; the next helper_start makes one. */
void helper_forked(void);

/*
 * For who looks at the whole state: once helper_pause returns, the helper
 * touches nothing until helper_resume; unless it was still busy after so many
 * milliseconds (UINT32_MAX: wait for it). It waits, so never in malloc or free.
 */
void helper_pause(uint32_t most_ms);
void helper_resume(void);

/* any thread: trims and purges all that is idle on all nodes. Returns the bytes purged. */
size_t helper_purge_all(void);

/*
 * Trims the node's ownerless pages that were let go at least `ticks` ago; not
 * before the last tick when 0. Uses a heap of its own meanwhile.
 */
void helper_trim(unsigned node, unsigned ticks, enum split split);

#endif
