/*
 * calloc: zero whatever was in the memory before, overflow, ENOMEM, zero sizes.
 */
#include "api.h"

#include <errno.h>
#include <string.h>

/* Dirty blocks of one size are freed, then the same size is asked zeroed. */
static void check_dirty_reuse(size_t size)
{
	enum { BLOCKS = 24 };
	void *block[BLOCKS];
	size_t n = size > MIB ? 4 : BLOCKS;

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < n; i++) {
			block[i] = a_malloc(size);
			CHECK(block[i], "malloc(%zu)", size);
			memset(block[i], 0xee, a_usable_size(block[i]));
		}
		for (size_t i = 0; i < n; i++)
			a_free(block[i]);
		for (size_t i = 0; i < n; i++) {
			block[i] = a_calloc(1, size);
			CHECK(block[i], "calloc(1, %zu)", size);
			CHECK((uintptr_t)block[i] % 16 == 0, "calloc(1, %zu) gave %p", size,
				block[i]);
			CHECK(all_zero(block[i], size), "calloc(1, %zu) is not zero", size);
			memset(block[i], 0xdd, a_usable_size(block[i]));
		}
		for (size_t i = 0; i < n; i++)
			a_free(block[i]);
	}
}

/* Memory that served one size, zeroed for another: spans and whales split and join. */
static void check_other_sizes(void)
{
	enum { BLOCKS = 64 };
	static void *block[BLOCKS];
	uint64_t seed = 11;

	for (int round = 0; round < 60; round++) {
		for (size_t i = 0; i < BLOCKS; i++) {
			uint64_t draw = rng_next(&seed);
			size_t size = draw % ((size_t)32 << (draw >> 56) % 18) + 1;

			if (draw & (1ull << 40)) {
				block[i] = a_malloc(size);
				CHECK(block[i], "malloc(%zu)", size);
				memset(block[i], 0x5a, size);
			} else {
				block[i] = a_calloc(size, 1);
				CHECK(block[i] && all_zero(block[i], size), "calloc(%zu, 1)", size);
				memset(block[i], 0xa5, size);
			}
		}
		for (size_t i = 0; i < BLOCKS; i++)
			a_free(block[(i * 29) % BLOCKS]);
	}
}

static void check_failures(void)
{
	static const size_t pairs[][2] = {{SIZE_MAX, 2}, {2, SIZE_MAX},
		{(size_t)1 << 32, (size_t)1 << 32}, {SIZE_MAX / 2 + 2, 2}, {SIZE_MAX, SIZE_MAX},
		{1, PTRDIFF_MAX}, {(size_t)PTRDIFF_MAX / 8 + 1, 8}, {3, SIZE_MAX / 3 + 1},
		{1, SIZE_MAX - 8}};

	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		errno = 0;
		void *p = a_calloc(opaque(pairs[i][0]), opaque(pairs[i][1]));

		CHECK(!p, "calloc(%zu, %zu) gave %p", pairs[i][0], pairs[i][1], p);
		CHECK(errno == ENOMEM, "calloc(%zu, %zu): errno %d", pairs[i][0], pairs[i][1],
			errno);
	}
}

static void check_zero(void)
{
	void *a = a_calloc(0, 8), *b = a_calloc(8, 0), *c = a_calloc(0, opaque(SIZE_MAX));

	CHECK(a && b && c, "a calloc of no bytes gave NULL");
	CHECK(a != b && b != c && a != c, "two live blocks of size 0 are the same");
	a_free(a);
	a_free(b);
	a_free(c);
}

int main(void)
{
	api_begin();
	for (size_t size = 1; size <= 2048; size += 7)
		check_dirty_reuse(size);
	for (size_t size = 2048; size <= 40 * MIB; size += size / 3 + 1)
		check_dirty_reuse(size);
	check_other_sizes();
	check_failures();
	check_zero();
	return 0;
}
