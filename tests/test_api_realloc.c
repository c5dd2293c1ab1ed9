/*
 * realloc: contents kept over the whole range of sizes, NULL and 0, failure keeps the block.
 */
#include "api.h"

#include <errno.h>
#include <string.h>

static const size_t ladder[] = {1, 15, 16, 17, 100, 128, 1000, 1024, 4000, 4096, 8192, 20000, 32768,
	50000, 57344, 65535, 65536, 65537, 100000, 262144, 300000, MIB - 1, MIB, MIB + 1,
	2 * MIB - 4096, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1, 3 * MIB, 4 * MIB, 5 * MIB + 77, 9 * MIB,
	16 * MIB, 17 * MIB, 33 * MIB};
enum { STEPS = sizeof ladder / sizeof *ladder };

static void *move(void *block, size_t from, size_t to)
{
	void *moved = a_realloc(block, to);

	CHECK(moved, "realloc from %zu to %zu: %s", from, to, strerror(errno));
	CHECK((uintptr_t)moved % 16 == 0, "realloc from %zu to %zu gave %p", from, to, moved);
	CHECK(pattern_ok(moved, from < to ? from : to, 3), "from %zu to %zu lost bytes", from, to);
	CHECK(a_usable_size(moved) >= to, "usable %zu after realloc to %zu", a_usable_size(moved),
		to);
	pattern_fill(moved, to, 3);
	return moved;
}

static void check_ladder(void)
{
	void *block = a_malloc(1);
	size_t bytes = 1;

	pattern_fill(block, bytes, 3);
	for (int up = 0; up < STEPS; up++) {
		block = move(block, bytes, ladder[up]);
		bytes = ladder[up];
	}
	for (int down = STEPS - 1; down >= 0; down--) {
		block = move(block, bytes, ladder[down]);
		bytes = ladder[down];
	}
	a_free(block);
}

/* Every size of the ladder to every other one. */
static void check_pairs(void)
{
	for (int i = 0; i < STEPS; i++) {
		for (int k = 0; k < STEPS; k++) {
			if (ladder[i] + ladder[k] > 20 * MIB)
				continue;
			void *block = a_malloc(ladder[i]);

			CHECK(block, "malloc(%zu)", ladder[i]);
			pattern_fill(block, ladder[i], 3);
			a_free(move(block, ladder[i], ladder[k]));
		}
	}
}

/* A growing vector among others, as programs do it. */
static void check_growth(void)
{
	enum { VECTORS = 8 };
	void *block[VECTORS] = {0};
	size_t bytes[VECTORS] = {0};
	uint64_t seed = 5;

	for (int step = 0; step < 400; step++) {
		int i = (int)(rng_next(&seed) % VECTORS);
		size_t to = bytes[i] + bytes[i] / 4 + rng_next(&seed) % 200 + 1;

		if (to > 3 * MIB)
			to = 1 + to % 1000;
		block[i] = move(block[i], bytes[i], to);
		bytes[i] = to;
	}
	for (int i = 0; i < VECTORS; i++)
		a_free(block[i]);
}

static void check_null_and_zero(void)
{
	void *block = a_realloc(NULL, 50);

	CHECK(block && (uintptr_t)block % 16 == 0, "realloc(NULL, 50) gave %p", block);
	memset(block, 1, 50);
	errno = 77;
	CHECK(a_realloc(block, opaque(0)) == NULL, "realloc(p, 0) does not free as glibc's does");
	block = a_realloc(NULL, opaque(0));
	CHECK(block, "realloc(NULL, 0) gave NULL");
	a_free(block);
}

/* realloc(p, 0) frees: a million blocks of it must not add up. */
static void check_zero_frees(void)
{
	size_t before = 0;

	for (int i = 0; i < 300000; i++) {
		void *block = a_malloc(1000);

		memset(block, 1, 1000);
		CHECK(!a_realloc(block, opaque(0)), "realloc(p, 0) gave a block");
		if (i == 1000)
			before = resident_bytes();
	}
	CHECK(resident_bytes() < before + 8 * MIB, "realloc(p, 0) leaks: %zu KiB more",
		(resident_bytes() - before) / KIB);
}

static void check_failure_keeps(void)
{
	static const size_t bad[] = {SIZE_MAX, PTRDIFF_MAX, SIZE_MAX - 4096, (size_t)1 << 62};
	static const size_t sizes[] = {1, 40, 5000, 70000, 300000, 2 * MIB, 6 * MIB};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		void *block = a_malloc(sizes[i]);

		CHECK(block, "malloc(%zu)", sizes[i]);
		pattern_fill(block, sizes[i], i);
		for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
			errno = 0;
			void *none = a_realloc(block, opaque(bad[k]));

			CHECK(!none && errno == ENOMEM, "realloc(p, %zu) gave %p, errno %d", bad[k],
				none, errno);
			CHECK(pattern_ok(block, sizes[i], i), "a failed realloc changed the block");
		}
		a_free(block);
	}
	errno = 0;
	CHECK(!a_realloc(NULL, opaque(SIZE_MAX)) && errno == ENOMEM, "errno %d", errno);
}

int main(void)
{
	api_begin();
	check_ladder();
	check_pairs();
	check_growth();
	check_null_and_zero();
	check_zero_frees();
	check_failure_keeps();
	return 0;
}
