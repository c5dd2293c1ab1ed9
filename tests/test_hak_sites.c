/*
 * Two places in one program with opposite habits: one asks again at once for what it freed, the
 * other only long after. Both must be told apart: what the second frees goes back to the kernel
 * while what the first frees stays, so that reuse costs it no page faults.
 */
#include "hakmem.h"
#include "test.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 4 << 20, HELD = 6, ROUNDS = 8, REUSES = 30, DELAY_MS = 20 };

static void *volatile soon_block, *volatile late_block;

/* Two functions that differ, so that there are two places. */
static __attribute__((noinline)) char *ask_soon(void)
{
	soon_block = hak_malloc(BLOCK);
	return soon_block;
}

static __attribute__((noinline)) char *ask_late(void)
{
	late_block = hak_malloc(BLOCK);
	return late_block;
}

static void late_round(void)
{
	char *held[HELD];

	for (unsigned i = 0; i < HELD; i++) {
		held[i] = ask_late();
		CHECK(held[i], "hak_malloc");
		memset(held[i], 1, BLOCK);
	}
	for (unsigned i = 0; i < HELD; i++)
		hak_free(held[i]);
}

/* Twice the delay, with a block in use and free by turns. */
static void soon_round(void)
{
	for (unsigned i = 0; i < REUSES; i++) {
		char *p = ask_soon();

		CHECK(p, "hak_malloc");
		memset(p, 1, BLOCK);
		hak_free(p);
		usleep(2 * DELAY_MS * 1000 / REUSES);
	}
}

static void check_classes(uint64_t *soon_fresh)
{
	struct hak_site_stats s, soon = {.allocs = 0}, late = {.allocs = 0};
	unsigned count = 0;

	for (; hak_site_stats(count, &s, sizeof s) == 0; count++) {
		if (s.allocs == ROUNDS * REUSES)
			soon = s;
		else if (s.allocs == ROUNDS * HELD)
			late = s;
	}
	CHECK(errno == ENOENT, "errno %d at the end of the sites", errno);
	CHECK(soon.allocs && late.allocs, "of %u sites none has the allocations made here", count);
	CHECK(soon.frees == soon.allocs && late.frees == late.allocs, "%llu and %llu were freed",
		(unsigned long long)soon.frees, (unsigned long long)late.frees);
	CHECK(soon.class_now == HAK_SITE_HOT, "quick reuse made class %u, score %d", soon.class_now,
		soon.score);
	CHECK(late.class_now == HAK_SITE_COLD, "late reuse made class %u, score %d", late.class_now,
		late.score);
	*soon_fresh = soon.fresh;
}

int main(void)
{
	struct hak_stats before, after;
	uint64_t fresh;

	/* No helper, nothing learned: what is given back is the sites' doing alone. */
	CHECK(hak_option_set("purge_delay_ms", "20") == 0, "hak_option_set");
	CHECK(hak_option_set("policy", "off") == 0, "hak_option_set");
	for (unsigned i = 0; i < ROUNDS; i++) {
		hak_stats(&before, sizeof before);
		late_round();
		soon_round();
		hak_stats(&after, sizeof after);
	}
	check_classes(&fresh);
	CHECK(after.purged - before.purged >= (HELD - 2) * (uint64_t)BLOCK,
		"of %u MiB freed by a cold site %llu were given back", HELD * BLOCK >> 20,
		(unsigned long long)((after.purged - before.purged) >> 20));
	CHECK(fresh <= ROUNDS * 2 * (uint64_t)BLOCK,
		"a hot site got %llu MiB that were not resident",
		(unsigned long long)(fresh >> 20));
	CHECK(hak_option_set("sites", "0") == 0, "hak_option_set");
	late_round();
	hak_stats(&before, sizeof before);
	late_round();
	hak_stats(&after, sizeof after);
	CHECK(after.purged == before.purged, "sites=0: %llu bytes were given back",
		(unsigned long long)(after.purged - before.purged));
	return 0;
}
