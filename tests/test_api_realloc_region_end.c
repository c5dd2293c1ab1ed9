/*
 * A big block that ends where the allocator's own piece of address space ends is grown: it must
 * not take from what lies behind. Other blocks keep their contents, and all memory comes back.
 */
#include "api.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 640, EDGE = 4096 };

/* Pieces end at multiples of these. */
#define LEAST_PIECE (64 * MIB)
#define MOST_PIECE (4 * GIB)
#define TOUCHED ((TEST_SANITIZED ? 1 : 16) * MIB)

static char *block[BLOCKS];
static size_t bytes[BLOCKS];

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t) * (char *const *)a, y = (uintptr_t) * (char *const *)b;

	return x < y ? -1 : x > y;
}

/* Only the ends of a block are written: the middle costs memory. */
static void write_ends(int i)
{
	pattern_fill(block[i], EDGE, (uint64_t)i);
	pattern_fill(block[i] + bytes[i] - EDGE, EDGE, (uint64_t)i + 1);
}

static void check_ends(int i)
{
	CHECK(pattern_ok(block[i], EDGE, (uint64_t)i), "block %d: its begin was overwritten", i);
	CHECK(pattern_ok(block[i] + bytes[i] - EDGE, EDGE, (uint64_t)i + 1),
		"block %d: its end was overwritten", i);
}

/* Blocks i and i + 1 touch at `end`: the second is freed, the first grows. */
static void grow_over(int i, size_t size)
{
	size_t more = size / 2 < TOUCHED ? size / 2 : TOUCHED;

	check_ends(i + 1);
	a_free(block[i + 1]);
	block[i + 1] = NULL;
	block[i] = a_realloc(block[i], size + size / 2);
	CHECK(block[i], "realloc to %zu", size + size / 2);
	CHECK(pattern_ok(block[i], EDGE, (uint64_t)i), "block %d: lost by realloc", i);
	CHECK(pattern_ok(block[i] + size - EDGE, EDGE, (uint64_t)i + 1), "block %d: lost its end",
		i);
	memset(block[i] + size, 1, more);
	bytes[i] = size + size / 2;
	write_ends(i);
}

static int grow_all(int count, size_t size)
{
	int grown = 0;

	for (uintptr_t piece = MOST_PIECE; piece >= LEAST_PIECE; piece /= 2) {
		for (int i = 0; i + 1 < count; i++) {
			if (!block[i] || !block[i + 1] || bytes[i] != size || bytes[i + 1] != size)
				continue;
			if (block[i] + size != block[i + 1] || (uintptr_t)block[i + 1] % piece != 0)
				continue;
			grow_over(i, size);
			grown++;
		}
	}
	return grown;
}

static void check_all_back(size_t size, size_t resident)
{
#if TEST_FORM_HAK
	struct hak_stats stats;

	hak_stats(&stats, sizeof stats);
	CHECK(stats.pooled < 4 * MIB, "blocks of %zu: %llu KiB cannot be purged", size,
		(unsigned long long)stats.pooled / KIB);
	CHECK(stats.whales == 0, "%llu whales, none is live", (unsigned long long)stats.whales);
	hak_verify();
#endif
	if (!TEST_SANITIZED)
		CHECK(resident_bytes() < resident + 4 * MIB,
			"blocks of %zu: %zu KiB are still resident", size,
			(resident_bytes() - resident) / KIB);
}

static int check(int count, size_t size)
{
	size_t resident;
	int grown;

	a_free(a_malloc(size));
	a_trim();
	resident = resident_bytes();
	for (int i = 0; i < count; i++) {
		block[i] = a_malloc(size);
		CHECK(block[i], "malloc(%zu), number %d", size, i);
		bytes[i] = size;
	}
	qsort(block, (size_t)count, sizeof *block, by_address);
	for (int i = 0; i < count; i++)
		write_ends(i);
	grown = grow_all(count, size);
	for (int i = 0; i < count; i++) {
		if (!block[i])
			continue;
		check_ends(i);
		a_free(block[i]);
	}
	a_trim();
	a_trim();
	check_all_back(size, resident);
	return grown;
}

int main(void)
{
	int grown = 0;

	api_begin();
	memset(block, 0, sizeof block);
	grown += check(TEST_SANITIZED ? 20 : 40, 128 * MIB);
	grown += check(BLOCKS, 8 * MIB);
	if (grown == 0)
		test_skip("no two blocks lie side by side at the end of a piece");
	return 0;
}
