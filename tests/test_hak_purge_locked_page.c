/*
 * Single pages that the program has locked and never unlocked, in blocks that it has freed, keep
 * nothing resident but what lies around them.
 */
#include "hakmem.h"
#include "test.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum { BLOCKS = 100, ROUNDS = 3 };

static char *block[BLOCKS];

static void use_and_free(size_t bytes, int locked)
{
	for (int i = 0; i < BLOCKS; i++) {
		block[i] = hak_malloc(bytes);
		CHECK(block[i], "hak_malloc(%zu): %s", bytes, strerror(errno));
		memset(block[i], 1, bytes);
	}
	for (int i = locked; i >= 0 && i < BLOCKS; i++)
		if (mlock(block[i], 1) != 0)
			test_skip("mlock: %s", strerror(errno));
	for (int i = 0; i < BLOCKS; i++)
		hak_free(block[i]);
}

/* The highest addresses are the ones that purging meets first. */
static void run(size_t bytes)
{
	struct hak_stats stats;
	size_t before, after;

	use_and_free(bytes, BLOCKS - 2);
	for (int round = 0; round < ROUNDS; round++)
		use_and_free(bytes, -1);
	before = resident_bytes();
	hak_purge();
	after = resident_bytes();
	hak_stats(&stats, sizeof stats);
	CHECK(before < BLOCKS * bytes / 2 + 40 * MIB, "blocks of %zu: %zu MiB stay after frees",
		bytes, before / MIB);
	CHECK(after < 16 * MIB, "blocks of %zu: %zu MiB stay after hak_purge", bytes, after / MIB);
	CHECK(stats.pooled < 16 * MIB, "%zu MiB pooled", (size_t)(stats.pooled / MIB));
}

int main(void)
{
	if (TEST_SANITIZED)
		test_skip("the sanitizers ignore mlock");
	/* Four times that: memory taken back and forth is wanted again, locked or not. */
	CHECK(hak_option_set("purge_bytes", "8M") == 0, "purge_bytes");
	run(2 * MIB);
	run(500 * KIB);
	return 0;
}
