/*
 * purge.h: what becomes of free memory in a node's pools: how much of it may
 * stay resident, and giving the rest back to the kernel. Any number of threads
 * may purge at the same time.
 */
#ifndef SEGMENTS_PURGE_H
#define SEGMENTS_PURGE_H

#include "policy/site.h"
#include "segments/region.h"

/* Purges up to about `bytes` of a node's pools. Returns the bytes given back. */
size_t pool_purge(unsigned node, size_t bytes, enum split split);

/* Purges what is above the bound of the options. Preserves errno. */
void pool_trim(unsigned node);

/* For the helper, once a tick: purges what nobody has wanted since the last one. */
void pool_tick(unsigned node);

/* Is anything to be purged before the next tick? For the helper: purges what is by now. */
bool pool_hurries(unsigned node);
void pool_hurry(unsigned node);

/*
 * Is there memory that may become due? Not what cannot be purged, nor what
 * stays because it lies in huge pages that are in use.
 */
bool pool_is_idle(unsigned node);

/* Bytes of the node in use, as far as its pools know. */
static inline size_t pool_in_use(const struct node *n)
{
	size_t resident = load_rlx(&n->x_resident), dirty = load_rlx(&n->x_dirty_bytes);
	return resident > dirty ? resident - dirty : 0;
}

/* The same of all nodes. */
size_t pool_in_use_all(void);

/*
 * For whoever frees a big block of a site, before it publishes these bits of a
 * word of x_slices: says when they are to be purged. Afterwards pool_trim.
 */
void pool_classify(struct region *r, size_t word, uint32_t mask, enum site_class class);

/*
 * May so many bytes more become resident? Above the soft limit everything idle
 * in the pools goes first. False, with ENOMEM, where that would pass the hard one.
 */
bool pool_may_grow(size_t bytes);

/*
 * Has the hard limit been passed by several who grew at the same time? Asked by
 * each of them after it has counted what it took; who hears yes gives it back.
 */
bool pool_has_overgrown(void);

/*
 * Whoever claims slices says here how many bytes of them were dirty and clean:
 * to hand them out, or to purge them.
 */
void pool_claimed(unsigned node, size_t dirty, size_t clean);
void pool_taken(unsigned node, size_t dirty, size_t clean);

#endif
