/*
 * hak_purge gives free resident memory back: resident memory falls to where it was, what is live
 * keeps its contents, and the memory can be used again.
 */
#include "hakmem.h"
#include "test.h"

#include <errno.h>
#include <string.h>

enum { TOTAL = 24 << 20, KEPT = 50 };

static const size_t sizes[] = {48, 1024, 6000, 70000, 500000, 3 << 20};
static char *block[TOTAL / 48];

static void check_size(size_t size)
{
	size_t count = TOTAL / size, before = resident_bytes(), full, freed, after, given;
	struct hak_stats stats;

	for (size_t i = 0; i < count; i++) {
		block[i] = hak_malloc(size);
		CHECK(block[i], "hak_malloc(%zu)", size);
		pattern_fill(block[i], size, i);
	}
	full = resident_bytes();
	/* One block stays, in the middle of everything. */
	for (size_t i = 0; i < count; i++) {
		if (i != count / 2)
			hak_free(block[i]);
	}
	freed = resident_bytes();
	errno = 5;
	given = hak_purge();
	after = resident_bytes();
	CHECK(pattern_ok(block[count / 2], size, count / 2), "hak_purge changed a live block");
	hak_free(block[count / 2]);
	CHECK(full > before + TOTAL / 2, "the memory was never resident");
	if (TEST_SANITIZED)
		return;
	CHECK(after < before + 2 * MIB + size,
		"blocks of %zu: %zu KiB before, %zu full, %zu freed, %zu "
		"after hak_purge",
		size, before / KIB, full / KIB, freed / KIB, after / KIB);
	CHECK(given + MIB >= freed - after,
		"resident memory fell by %zu KiB, hak_purge says %zu KiB", (freed - after) / KIB,
		given / KIB);
	hak_purge();
	hak_stats(&stats, sizeof stats);
	CHECK(stats.pooled < 2 * MIB, "%llu KiB are resident in the pools after hak_purge",
		(unsigned long long)stats.pooled / KIB);
}

static void check_zero_after(void)
{
	for (size_t i = 0; i < 200; i++) {
		char *p = hak_calloc(1, 60000);

		CHECK(p && all_zero(p, 60000), "calloc after hak_purge is not zero");
		memset(p, 1, 60000);
		hak_free(p);
		if (i % 20 == 0)
			hak_purge();
	}
}

int main(void)
{
	struct hak_stats first, last;

	/* The list of blocks is resident from here on. */
	memset(block, 1, sizeof block);
	hak_free(hak_malloc(1));
	hak_purge();
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		check_size(sizes[i]);
	check_zero_after();
	hak_stats(&first, sizeof first);
	char *p = hak_malloc(3 * MIB);

	CHECK(p, "hak_malloc(3 MiB)");
	memset(p, 1, 3 * MIB);
	hak_free(p);
	hak_purge();
	hak_stats(&last, sizeof last);
	CHECK(last.purged >= first.purged + 2 * MIB && last.purge_calls > first.purge_calls,
		"purged %llu bytes in %llu calls of a freed block of 3 MiB",
		(unsigned long long)(last.purged - first.purged),
		(unsigned long long)(last.purge_calls - first.purge_calls));
	return 0;
}
