/*
 * purge.h: what becomes of free memory in a node's pools: how much of it may
 * stay resident, and giving the rest back to the kernel. Any number of threads
 * may purge at the same time.
 */
#ifndef SEGMENTS_PURGE_H
#define SEGMENTS_PURGE_H

#include "segments/types.h"

/* Purges up to about `bytes` of a node's pools. Returns the bytes given back. */
size_t pool_purge(unsigned node, size_t bytes);

/* Purges what is above the bound of the options. Preserves errno. */
void pool_trim(unsigned node);

/*
 * For the helper, once a tick: purges what nobody has wanted since the last
 * one. False when nothing is left that could become due.
 */
bool pool_tick(unsigned node);

/* Whoever claims slices says here how many bytes of them were dirty and clean. */
void pool_claimed(unsigned node, size_t dirty, size_t clean);

#endif
