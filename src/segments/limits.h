/*
 * limits.h: every size and bound of the memory layout. The tiny build shrinks
 * them, so that paths which are rare in a server run all the time in a test.
 */
#ifndef SEGMENTS_LIMITS_H
#define SEGMENTS_LIMITS_H

#include "base/base.h"

#define BLOCK_ALIGN 16

#if HAK_TINY
#define SLICE_SHIFT 14
#define REGION_SHIFT 26
#define HEAPS_PER_CHUNK 4
#define DRAIN_BLOCKS_MAX 16
#define REAP_SLOTS ((size_t)16)
#else
#define SLICE_SHIFT 16
#define REGION_SHIFT 30
#define HEAPS_PER_CHUNK 64
#define DRAIN_BLOCKS_MAX 1024
#define REAP_SLOTS ((size_t)256)
#endif

/* A slice is the unit of spans; 32 of them are a granule (segment). */
#define SLICE_BYTES ((size_t)1 << SLICE_SHIFT)
#define GRANULE_SLICES 32
#define GRANULE_SHIFT (SLICE_SHIFT + 5)
#define GRANULE_BYTES ((size_t)1 << GRANULE_SHIFT)

/* A region is one window of the address space. */
#define REGION_BYTES ((size_t)1 << REGION_SHIFT)
#define REGION_SLICES (REGION_BYTES / SLICE_BYTES)
#define REGION_GRANULES (REGION_BYTES / GRANULE_BYTES)
#define REGION_WORDS (REGION_GRANULES / 64)
#define REGION_WORDS_WHALES (REGION_GRANULES / GRANULE_SLICES)
#define REGION_MAP_ENTRIES ((size_t)1 << (USER_ADDRESS_BITS - REGION_SHIFT))

/* Blocks up to here share pages; the fast path indexes them by size / 16. */
#define DIRECT_MAX 1024
#define DIRECT_ENTRIES (DIRECT_MAX / BLOCK_ALIGN + 1)

/* Small blocks share pages, mid blocks are spans of their own, whales are granules. */
#define SMALL_MAX (SLICE_BYTES / 8 * 7)
#define MID_MAX (SLICE_BYTES * 30)
#define PAGE_SLICES_MAX 8

/* Whales above this have a mapping of their own. */
#define WHALE_REGION_MAX (REGION_BYTES / 4)

/* A whale in huge pages wastes at most this share of itself in the last one. */
#define HUGE_WASTE_SHARE 8

/* A heap has proved to be large when it has taken so much memory that was fresh. */
#define HUGE_HEAP_BYTES (8 * GRANULE_BYTES)

/* Small pages are trimmed by system pages (blocks below that size) or by blocks. */
#define TRIM_BYTES ((size_t)4096)

/*
 * Granules that end with an inaccessible slice, in the secure build. Each splits the kernel's
 * mapping twice, and a process may have 65530: a quarter of these. Beyond, granules have none.
 */
#define GUARDED_GRANULES_MAX 8192

/*
 * Granules made accessible with one system call: this share of what is, between
 * these bounds. Strict overcommit charges it at once, so it is no large step.
 */
#define COMMIT_SHARE 4
#define COMMIT_GRANULES_MIN 2
#define COMMIT_GRANULES_MAX 64

/*
 * Regions with room that one search looks into before it asks for fresh memory;
 * those without are passed over for the price of one load.
 */
#define SEARCH_REGIONS 8

/* Largest size that anything can ask for. */
#define SIZE_LIMIT ((size_t)PTRDIFF_MAX)

#endif
