/*
 * Memory that cannot be given back, because the program has locked it, is not asked back at every
 * free: the number of system calls stays small, and the memory stays usable.
 */
#include "hakmem.h"
#include "test.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum { BLOCKS = 1500, BLOCK_BYTES = 60000, LATER = 600, CALLS_MOST = 20 };

static char *block[BLOCKS];

static void fill(void)
{
	for (int i = 0; i < BLOCKS; i++) {
		block[i] = hak_malloc(BLOCK_BYTES);
		CHECK(block[i], "hak_malloc(%d): %s", BLOCK_BYTES, strerror(errno));
		pattern_fill(block[i], BLOCK_BYTES, (uint64_t)i);
	}
}

/* Every second block first: what is free then lies in many pieces. Returns the calls later on. */
static uint64_t free_all(void)
{
	struct hak_stats before, after;

	for (int i = 0; i < BLOCKS; i += 2)
		hak_free(block[i]);
	hak_stats(&before, sizeof before);
	for (int i = 1; i < LATER; i += 2) {
		CHECK(pattern_ok(block[i], BLOCK_BYTES, (uint64_t)i), "block %d changed", i);
		hak_free(block[i]);
	}
	hak_stats(&after, sizeof after);
	for (int i = LATER + 1; i < BLOCKS; i += 2)
		hak_free(block[i]);
	return after.purge_calls - before.purge_calls;
}

int main(void)
{
	struct hak_stats stats;

	if (TEST_SANITIZED)
		test_skip("the sanitizers ignore mlockall");
	hak_free(hak_malloc(1));
	fill();
	free_all();
	if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
		test_skip("mlockall: %s", strerror(errno));
	for (int round = 0; round < 3; round++) {
		uint64_t calls;

		fill();
		calls = free_all();
		CHECK(calls <= CALLS_MOST, "%llu madvise calls for %d frees of locked memory",
			(unsigned long long)calls, LATER / 2);
	}
	hak_stats(&stats, sizeof stats);
	CHECK(stats.purge_calls > 0, "no memory was ever to be given back");
	CHECK(munlockall() == 0, "munlockall: %s", strerror(errno));
	hak_purge();
	hak_purge();
	hak_stats(&stats, sizeof stats);
	CHECK(stats.pooled < 4 * MIB, "unlocked, and %llu KiB are still resident in the pools",
		(unsigned long long)stats.pooled / KIB);
	hak_verify();
	return 0;
}
