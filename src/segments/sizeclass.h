/*
 * sizeclass.h: sizes and classes. Steps of 16 bytes up to 128, then eight
 * classes to each doubling, so that a block is at most 12.5% larger than what
 * was asked. Pure functions.
 */
#ifndef SEGMENTS_SIZECLASS_H
#define SEGMENTS_SIZECLASS_H

#include "segments/limits.h"

#define CLASSES_LINEAR 8
#define LINEAR_MAX 128
#define SMALL_CLASSES ((SLICE_SHIFT - 8) * 8 + 14)
#define CLASSES ((SLICE_SHIFT - 3) * 8 + 15)
#define MID_CLASSES (CLASSES - SMALL_CLASSES)

/* The class of a size in (DIRECT_MAX, MID_MAX], or of any size above LINEAR_MAX. */
static ALWAYS_INLINE size_t class_of_large(size_t size)
{
	size_t e = log2_floor(size - 1);
	return (e - 7) * 8 + ((size - 1) >> (e - 3));
}

/* The class of a size up to MID_MAX. */
static inline unsigned class_of(size_t size)
{
	if (size <= LINEAR_MAX)
		return size ? (unsigned)((size - 1) / BLOCK_ALIGN) : 0;
	return (unsigned)class_of_large(size);
}

static inline size_t class_bytes(unsigned c)
{
	if (c < CLASSES_LINEAR)
		return (c + 1) * (size_t)BLOCK_ALIGN;
	unsigned step = (c - CLASSES_LINEAR) % 8, e = 7 + (c - CLASSES_LINEAR) / 8;
	return (size_t)(9 + step) << (e - 3);
}

/* Slices of a page (small classes) or of a block (mid classes). */
static inline unsigned class_slices(unsigned c)
{
	size_t bytes = class_bytes(c);
	if (c >= SMALL_CLASSES)
		return (unsigned)((bytes + SLICE_BYTES - 1) / SLICE_BYTES);
	if (bytes <= SLICE_BYTES / 8)
		return 1;
	return bytes <= SLICE_BYTES / 2 ? 4 : PAGE_SLICES_MAX;
}

/*
 * The index of a block by its offset in a page of the small class, and whether
 * that offset is a multiple of the block size. By multiplication with the rounded-up reciprocal: exact, since offsets are below
 * 2^19 and block sizes below 2^16, so the error stays under one block.
 */
extern const uint64_t class_reciprocal[SMALL_CLASSES];
#define RECIPROCAL_SHIFT 40

static inline unsigned class_index(unsigned c, size_t offset)
{
	return (unsigned)((offset * class_reciprocal[c]) >> RECIPROCAL_SHIFT);
}

static inline bool class_is_multiple(unsigned c, size_t offset)
{
	return class_index(c, offset) * class_bytes(c) == offset;
}

_Static_assert((7u << (SLICE_SHIFT - 3)) == SMALL_MAX, "SMALL_MAX is 7/8 of a slice");

#endif
