/*
 * The option limit: above the soft limit idle memory goes before more is taken, beyond the hard one
 * requests of every size fail with ENOMEM, and nothing is lost: what was freed can be had again.
 */
#include "hakmem.h"
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { HARD_MIB = 96, SOFT_MIB = 48, MOST = 1 << 20 };

static const size_t sizes[] = {64, 5000, 200000, 3 << 20, 40 << 20};
static void *block[MOST];

static uint64_t resident(void)
{
	struct hak_stats s;

	hak_stats(&s, sizeof s);
	CHECK(s.limit_hard == HARD_MIB * MIB && s.limit_soft <= SOFT_MIB * MIB,
		"limits of %llu and %llu bytes are in force", (unsigned long long)s.limit_soft,
		(unsigned long long)s.limit_hard);
	return s.resident;
}

/* Takes blocks until there are no more; they must come to at least half of what is allowed. */
static void fill(size_t size)
{
	size_t count = 0;

	errno = 0;
	while (count < MOST && (block[count] = hak_malloc(size))) {
		memset(block[count], 1, size);
		count++;
	}
	CHECK(count < MOST || size < HARD_MIB * MIB / MOST, "blocks of %zu have no limit", size);
	CHECK(count == MOST || errno == ENOMEM, "errno %d", errno);
	CHECK(count == MOST || count * size >= HARD_MIB * MIB / 3,
		"only %zu blocks of %zu were to be had", count, size);
	CHECK(resident() <= HARD_MIB * MIB, "%llu MiB are resident",
		(unsigned long long)resident() / MIB);
	CHECK(!count || !hak_realloc(block[0], HARD_MIB * MIB) || errno == ENOMEM, "hak_realloc");
	CHECK(*(char *)block[0] == 1, "a block was lost by a realloc that failed");
	while (count > 0)
		hak_free(block[--count]);
}

static void check_soft(void)
{
	struct hak_stats before, after;
	void *p = hak_malloc(30 * MIB), *q;

	CHECK(p, "30 MiB");
	memset(p, 1, 30 * MIB);
	hak_free(p);
	hak_stats(&before, sizeof before);
	/* A size that what lies in the pool does not serve. */
	q = hak_malloc(40 * MIB);
	CHECK(q, "40 MiB");
	hak_stats(&after, sizeof after);
	CHECK(after.pooled < MIB && after.purged + MIB >= before.purged + before.pooled,
		"%llu KiB stay in the pools above the soft limit",
		(unsigned long long)after.pooled / KIB);
	hak_free(q);
}

static void check_values(void)
{
	static const char *const bad[] = {"", "soft", "soft:", "soft:1K", "soft:2G,hard:1G",
		"hard:8G,hard:9G", "hard:8G;soft:1G", "soft:-1", "4G", "soft:99999999999T"};
	char text[64];

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CHECK(hak_option_set("limit", bad[i]) == -1 && errno == EINVAL, "limit \"%s\"",
			bad[i]);
	CHECK(hak_option_set("limit", "soft:48M,hard:96M") == 0, "hak_option_set");
	hak_option_get("limit", text, sizeof text);
	CHECK(!strcmp(text, "soft:48M,hard:96M"), "the option reads as %s", text);
}

int main(void)
{
	check_values();
	check_soft();
	for (unsigned round = 0; round < 2; round++)
		for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
			fill(sizes[i]);
	CHECK(hak_option_set("limit", "none") == 0, "hak_option_set");
	void *p = hak_malloc(HARD_MIB * MIB);
	CHECK(p, "the limit was lifted");
	hak_free(p);
	hak_verify();
	return 0;
}
