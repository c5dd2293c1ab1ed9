/*
 * sizeclass.c: the table behind class_is_multiple, written by the compiler.
 */
#include "segments/sizeclass.h"

#define BYTES(c)                                                                                   \
	((c) < CLASSES_LINEAR ? ((c) + 1) * (uint64_t)BLOCK_ALIGN                                  \
			      : (uint64_t)(9 + ((c)-CLASSES_LINEAR) % 8)                           \
					<< (4 + ((c)-CLASSES_LINEAR) / 8))
#define ONE(c) (((uint64_t)1 << RECIPROCAL_SHIFT) + BYTES(c) - 1) / BYTES(c)
#define TWO(c) ONE(c), ONE((c) + 1)
#define TEN(c) TWO(c), TWO((c) + 2), TWO((c) + 4), TWO((c) + 6), TWO((c) + 8)

const uint64_t class_reciprocal[SMALL_CLASSES] = {
	TEN(0),
	TEN(10),
	TEN(20),
	TEN(30),
	TEN(40),
	TEN(50),
	TWO(60),
#if SLICE_SHIFT == 16
	TWO(62),
	TWO(64),
	TWO(66),
	TWO(68),
	TWO(70),
	TWO(72),
	TWO(74),
	TWO(76),
#endif
};
_Static_assert(SMALL_CLASSES == (SLICE_SHIFT == 16 ? 78 : 62), "the rows above");
