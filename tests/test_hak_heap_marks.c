/*
 * What lay in memory before is no mistake of the program: a big block of a first-class heap, of which
 * few bytes were asked for and written, is freed as any other, where its span had small blocks before.
 */
#include "hakmem.h"
#include "test.h"

#include <stdint.h>

/* A slice of blocks of 64 bytes, many times. */
enum { SMALL = 64, SMALLS = 40000, ASKED = 9, ALIGNMENT = 64 * KIB, BLOCKS = 32 };

static char *small[SMALLS], *block[BLOCKS];

int main(void)
{
	hak_heap *heap = hak_heap_create();

	CHECK(heap, "hak_heap_create");
	for (size_t i = 0; i < SMALLS; i++) {
		small[i] = hak_malloc(SMALL);
		CHECK(small[i], "hak_malloc(%d)", SMALL);
		small[i][0] = 1;
	}
	for (size_t i = 0; i < SMALLS; i++)
		hak_free(small[i]);
	for (size_t i = 0; i < BLOCKS; i++) {
		block[i] = hak_heap_alloc(heap, ASKED, ALIGNMENT, 0);
		CHECK(block[i], "hak_heap_alloc(%d)", ASKED);
		/* With the seven bytes behind, this was the mark of a block that was freed before. */
		block[i][ASKED - 1] |= 1;
	}
	for (size_t i = 0; i < BLOCKS; i++)
		hak_free(block[i]);
	hak_heap_destroy(heap);
	return 0;
}
