/*
 * units.h: what of a small page can be given back alone. A page is cut into
 * units: its blocks, where a block has at least one system page; else its system
 * pages. A unit can go when all blocks that touch it are free.
 */
#ifndef SEGMENTS_UNITS_H
#define SEGMENTS_UNITS_H

#include "segments/types.h"

#include <sys/uio.h>

/* A page has at most so many; their sets are words. */
#define UNITS_MAX 32

static inline bool units_are_blocks(size_t bytes)
{
	return bytes >= TRIM_BYTES;
}

/* Blocks first .. end touch a unit; `total` bounds them. */
static inline unsigned unit_first(size_t bytes, unsigned unit)
{
	return units_are_blocks(bytes) ? unit : (unsigned)(unit * TRIM_BYTES / bytes);
}

static inline unsigned unit_end(size_t bytes, unsigned unit, unsigned total)
{
	unsigned end = units_are_blocks(bytes)
			       ? unit + 1
			       : (unsigned)(((unit + 1) * TRIM_BYTES - 1) / bytes + 1);
	return end < total ? end : total;
}

/* Units first .. last are what a block touches. */
static inline unsigned block_first_unit(size_t bytes, unsigned block)
{
	return units_are_blocks(bytes) ? block : (unsigned)(block * bytes / TRIM_BYTES);
}

static inline unsigned block_last_unit(size_t bytes, unsigned block)
{
	return units_are_blocks(bytes) ? block : (unsigned)(((block + 1) * bytes - 1) / TRIM_BYTES);
}

/* Is the block off the list because one of these units is away? */
static inline bool block_is_away(size_t bytes, uint32_t units, unsigned block)
{
	return (units >> block_first_unit(bytes, block) & 1) ||
	       (units >> block_last_unit(bytes, block) & 1);
}

/* Blocks ever made that these units keep away. */
unsigned units_blocks(const struct page *page, uint32_t units);

/* What lies beyond the blocks ever made: where it begins, and whether it goes too. */
struct tail {
	size_t from; /* bytes into the page; SIZE_MAX: whatever is there is in use */
	bool goes;
};

/*
 * Writes whole system pages of runs of units in which one is in `fresh` to
 * `ranges` (TRIM_RANGES_MAX of them). Returns their number.
 */
size_t units_ranges(const struct page *page, uint32_t units, uint32_t fresh, struct tail tail,
	struct iovec *ranges);

#endif
