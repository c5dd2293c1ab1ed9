/*
 * malloc: 16-byte alignment and full use of every size, unique blocks of size zero, ENOMEM.
 */
#include "api.h"

#include <errno.h>
#include <string.h>

static void check_one(size_t size)
{
	char *p = a_malloc(size);

	CHECK(p, "malloc(%zu): %s", size, strerror(errno));
	CHECK((uintptr_t)p % 16 == 0, "malloc(%zu) gave %p", size, (void *)p);
	if (size > 0) {
		pattern_fill(p, size, size);
		CHECK(pattern_ok(p, size, size), "block of %zu does not keep what is written",
			size);
	}
	a_free(p);
}

static void check_every_size(void)
{
	for (size_t size = 0; size <= 20 * KIB; size++)
		check_one(size);
	for (size_t size = 20 * KIB; size <= 300 * KIB; size += 509)
		check_one(size);
	for (size_t size = 256 * KIB; size <= 9 * MIB; size += size / 7 + 13)
		check_one(size);
	for (unsigned shift = 4; shift <= 27; shift++) {
		check_one(((size_t)1 << shift) - 1);
		check_one((size_t)1 << shift);
		check_one(((size_t)1 << shift) + 1);
	}
}

/* Neighbouring live blocks of every size: aligned, and none overlaps another. */
static void check_side_by_side(void)
{
	enum { BLOCKS = 2048 };
	static char *block[BLOCKS];
	static size_t bytes[BLOCKS];
	uint64_t seed = 7;

	for (size_t i = 0; i < BLOCKS; i++) {
		uint64_t draw = rng_next(&seed);

		bytes[i] = draw % ((size_t)16 << (draw >> 60));
		block[i] = a_malloc(bytes[i]);
		CHECK(block[i], "malloc(%zu)", bytes[i]);
		CHECK((uintptr_t)block[i] % 16 == 0, "malloc(%zu) gave %p", bytes[i],
			(void *)block[i]);
		pattern_fill(block[i], bytes[i], i);
	}
	for (size_t i = 0; i < BLOCKS; i++) {
		CHECK(pattern_ok(block[i], bytes[i], i), "block %zu of %zu bytes was overwritten",
			i, bytes[i]);
		a_free(block[i]);
	}
}

static void check_zero_sizes(void)
{
	enum { BLOCKS = 1000 };
	static void *block[BLOCKS];

	for (size_t i = 0; i < BLOCKS; i++) {
		block[i] = a_malloc(0);
		CHECK(block[i], "malloc(0) gave NULL");
		for (size_t k = 0; k < i; k++)
			CHECK(block[k] != block[i], "two live blocks of size 0 are the same");
	}
	for (size_t i = 0; i < BLOCKS; i++)
		a_free(block[i]);
}

static void check_too_much(void)
{
	static const size_t sizes[] = {(size_t)PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX,
		SIZE_MAX - 1, SIZE_MAX - 15, SIZE_MAX - 4096, SIZE_MAX / 2 - 4096, (size_t)1 << 62,
		(size_t)1 << 48};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		errno = 0;
		void *p = a_malloc(opaque(sizes[i]));

		CHECK(!p, "malloc(%zu) gave %p", sizes[i], p);
		CHECK(errno == ENOMEM, "malloc(%zu) set errno to %d", sizes[i], errno);
	}
	check_one(100);
}

int main(void)
{
	api_begin();
	check_every_size();
	check_side_by_side();
	check_zero_sizes();
	check_too_much();
	return 0;
}
