/*
 * free_sized and free_aligned_sized: as free for the sizes and alignments a block was asked with.
 */
#include "api.h"

#include <errno.h>

static void check_sized(size_t size)
{
	void *block = a_malloc(size);

	CHECK(block, "malloc(%zu)", size);
	pattern_fill(block, size, 1);
	errno = 55;
	a_free_sized(block, size);
	CHECK(errno == 55, "free_sized(p, %zu) set errno to %d", size, errno);
	block = a_calloc(1, size);
	CHECK(block && all_zero(block, size), "calloc(1, %zu) after free_sized", size);
	a_free_sized(block, size);
	block = a_realloc(a_malloc(10), size + 1);
	CHECK(block, "realloc to %zu", size + 1);
	a_free_sized(block, size + 1);
}

static void check_aligned(size_t alignment, size_t size)
{
	void *block = a_aligned_alloc(alignment, size);

	CHECK(block && (uintptr_t)block % alignment == 0, "aligned_alloc(%zu, %zu) gave %p",
		alignment, size, block);
	pattern_fill(block, size, 1);
	errno = 56;
	a_free_aligned_sized(block, alignment, size);
	CHECK(errno == 56, "free_aligned_sized(p, %zu, %zu) set errno to %d", alignment, size,
		errno);
}

int main(void)
{
	size_t before = 0;

	api_begin();
	errno = 57;
	a_free_sized(NULL, 0);
	a_free_sized(NULL, 10);
	a_free_aligned_sized(NULL, 64, 10);
	CHECK(errno == 57, "a sized free of NULL set errno to %d", errno);
	for (int round = 0; round < 3; round++) {
		for (size_t size = 0; size < 9 * MIB; size += size / 3 + 1)
			check_sized(size);
		for (size_t alignment = 16; alignment <= 4 * MIB; alignment *= 2) {
			for (size_t size = 0; size < 3 * MIB; size += size + 33)
				check_aligned(alignment, size);
		}
		if (round == 0)
			before = resident_bytes();
	}
	/* What stays resident for reuse changes as the program is learned. */
	CHECK(TEST_SANITIZED || resident_bytes() < before + 16 * MIB,
		"sized frees leak: %zu KiB more", (resident_bytes() - before) / KIB);
	return 0;
}
