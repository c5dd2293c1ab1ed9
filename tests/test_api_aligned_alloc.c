/*
 * aligned_alloc: every power of two up to 1 GiB, and above: a block or ENOMEM. Contents, reuse,
 * realloc and free of aligned blocks.
 */
#include "api.h"

#include <errno.h>
#include <string.h>

static void check_one(size_t alignment, size_t size)
{
	char *block = a_aligned_alloc(alignment, size);

	CHECK(block, "aligned_alloc(%zu, %zu): %s", alignment, size, strerror(errno));
	CHECK((uintptr_t)block % alignment == 0, "aligned_alloc(%zu, %zu) gave %p", alignment, size,
		(void *)block);
	CHECK(a_usable_size(block) >= size, "usable %zu of %zu", a_usable_size(block), size);
	pattern_fill(block, size, alignment);
	CHECK(pattern_ok(block, size, alignment), "aligned_alloc(%zu, %zu) loses bytes", alignment,
		size);
	a_free(block);
}

static void check_all_alignments(void)
{
	static const size_t sizes[] = {0, 1, 16, 17, 100, 1000, 4096, 5000, 30000, 65536, 100000,
		300000, MIB, 2 * MIB + 1};

	for (size_t alignment = 1; alignment <= GIB; alignment *= 2) {
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
			check_one(alignment, sizes[i]);
	}
}

/* Live side by side, with ordinary blocks between them: no two overlap. */
static void check_side_by_side(void)
{
	enum { BLOCKS = 600 };
	static char *block[BLOCKS];
	static size_t bytes[BLOCKS];
	uint64_t seed = 3;

	for (int round = 0; round < 4; round++) {
		for (size_t i = 0; i < BLOCKS; i++) {
			uint64_t draw = rng_next(&seed);
			size_t alignment = (size_t)1 << (draw >> 58) % 18;

			bytes[i] = draw % 3000 + 1;
			block[i] =
				i % 3 ? a_aligned_alloc(alignment, bytes[i]) : a_malloc(bytes[i]);
			CHECK(block[i], "aligned_alloc(%zu, %zu)", alignment, bytes[i]);
			CHECK(i % 3 == 0 || (uintptr_t)block[i] % alignment == 0,
				"aligned_alloc(%zu, %zu) gave %p", alignment, bytes[i],
				(void *)block[i]);
			pattern_fill(block[i], bytes[i], i);
		}
		for (size_t i = 0; i < BLOCKS; i++) {
			CHECK(pattern_ok(block[i], bytes[i], i), "block %zu was overwritten", i);
			a_free(block[i]);
		}
	}
}

static void check_realloc(void)
{
	for (size_t alignment = 16; alignment <= 16 * MIB; alignment *= 4) {
		char *block = a_aligned_alloc(alignment, 3000);

		CHECK(block, "aligned_alloc(%zu, 3000)", alignment);
		pattern_fill(block, 3000, 9);
		block = a_realloc(block, 200000);
		CHECK(block && pattern_ok(block, 3000, 9), "realloc of a block aligned to %zu",
			alignment);
		block = a_realloc(block, 2000);
		CHECK(block && pattern_ok(block, 2000, 9), "shrunk block aligned to %zu",
			alignment);
		a_free(block);
	}
}

static void check_beyond(void)
{
	for (unsigned shift = 31; shift < 64; shift++) {
		size_t alignment = (size_t)1 << shift;

		errno = 0;
		char *block = a_aligned_alloc(alignment, 1000);

		CHECK(block || errno == ENOMEM || (shift == 63 && errno == EINVAL),
			"aligned_alloc(2^%u, 1000): errno %d", shift, errno);
		CHECK((uintptr_t)block % alignment == 0, "2^%u gave %p", shift, (void *)block);
		if (block)
			pattern_fill(block, 1000, 1);
		a_free(block);
	}
}

static void check_failures(void)
{
	static const size_t bad[] = {3, 24, 48, 100, 4097, SIZE_MAX};

	for (size_t alignment = 1; alignment <= GIB; alignment *= 2) {
		errno = 0;
		void *none = a_aligned_alloc(alignment, opaque(SIZE_MAX - alignment + 1));

		CHECK(!none && errno == ENOMEM,
			"a size that overflows with alignment %zu: %p, errno %d", alignment, none,
			errno);
		errno = 0;
		none = a_aligned_alloc(alignment, opaque(PTRDIFF_MAX));
		CHECK(!none && errno == ENOMEM, "PTRDIFF_MAX with alignment %zu: %p, errno %d",
			alignment, none, errno);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		errno = 0;
		void *none = a_aligned_alloc(opaque(bad[i]), 100);

		CHECK(!none && errno == EINVAL, "alignment %zu: %p, errno %d", bad[i], none, errno);
	}
}

int main(void)
{
	api_begin();
	check_all_alignments();
	check_side_by_side();
	check_realloc();
	check_beyond();
	check_failures();
	return 0;
}
