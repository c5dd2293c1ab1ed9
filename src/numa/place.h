/*
 * place.h: where the memory of this thread is to lie. A range of address space
 * is bound to its shard's node once, when it is reserved. The user's word comes
 * first: a thread under a memory policy that is not the default one takes memory
 * from a shard of that policy, which is never bound, so that the kernel places
 * every page as it would for any other malloc. A kernel that denies such calls
 * (EPERM, ENOSYS) is not asked again: first touch decides then.
 */
#ifndef NUMA_PLACE_H
#define NUMA_PLACE_H

#include "numa/topology.h"

/* Shards below NODES_REAL_MAX are nodes. This one is bound to all nodes in turn. */
#define SHARD_INTERLEAVED NODES_REAL_MAX

/* Is there anything to decide? For slow paths. */
static inline bool place_matters(void)
{
	return topology_generation() != 0;
}

/*
 * Between the two, this thread's policy is not the user's word: libnuma sets
 * others as it is loaded, to see what the kernel can do. A thread stays with
 * what it has meanwhile.
 */
void place_ignore_policy(bool ignore);
bool place_ignores_policy(void);

/* The shard from which this thread should take memory now. */
unsigned place_shard(void);

/* The same on a node that the caller knows: one system call. */
unsigned place_shard_on(unsigned node);

/* Does the shard belong to a policy of the user's? Do both belong to the same, or to none? */
bool place_is_policy(unsigned shard);
bool place_same_policy(unsigned a, unsigned b);

/* A shard whose free memory may have been placed by any policy: none is used again unpurged. */
bool place_keeps_nothing(unsigned shard);

/* Takes SHARD_INTERLEAVED into use; 0 where there is one node only. */
unsigned place_interleaved(void);

/* Binds reserved address space to its shard's node. Preserves errno. */
void place_bind(void *start, size_t bytes, unsigned shard);

/* Ranges that could not be bound, ever. */
uint64_t place_bind_failures(unsigned shard);

#endif
