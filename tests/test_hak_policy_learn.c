/*
 * The learned policy in one thread: what is reused at once is kept and settles; of two sizes with
 * opposite habits the one that idles is purged and the other kept; when the first habit comes back,
 * so does the first choice. Every match is in the statistics, and estimates agree with what was found.
 */
#include "hakmem.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { SMALL = 2 << 20, LARGE = 12 << 20, LARGE_EVERY_MS = 60, PATIENCE_MS = 60000, SITES = 3 };

static void use(size_t size)
{
	use_block(hak_malloc, hak_free, size);
}

static struct hak_policy_stats hot(void)
{
	struct hak_policy_stats s;

	CHECK(hak_policy_stats(-1, HAK_SITE_HOT, &s, sizeof s) == 0, "hak_policy_stats");
	return s;
}

/* Small blocks all the time, and a large one now and then. */
static void habit(bool large)
{
	static uint64_t next;

	use(SMALL);
	if (large && now_ms() >= next) {
		use(LARGE);
		next = now_ms() + LARGE_EVERY_MS;
	}
}

static bool settled(void)
{
	return hot().freezes > 0;
}

static bool purges_large(void)
{
	return hot().choice < LARGE;
}

static bool keeps_large(void)
{
	return hot().choice >= LARGE;
}

/* However slow the machine is: what is learned depends on what happens, in order. */
static void until(bool (*is_so)(void), size_t block_bytes, const char *what)
{
	uint64_t end = now_ms() + PATIENCE_MS;

	while (!is_so() && now_ms() < end) {
		if (block_bytes)
			use(block_bytes);
		else
			habit(true);
	}
	CHECK(is_so(), "%s: choice %llu KiB", what, (unsigned long long)hot().choice >> 10);
}

static void check_sums(void)
{
	for (unsigned class = 0; class < SITES; class ++) {
		struct hak_policy_stats s, node;
		uint64_t played = 0;

		CHECK(hak_policy_stats(-1, class, &s, sizeof s) == 0 &&
				hak_policy_stats(0, class, &node, sizeof node) == 0,
			"hak_policy_stats");
		CHECK(memcmp(&s, &node, sizeof s) == 0, "the only node is not the process");
		for (unsigned i = 0; i < HAK_STRATEGIES; i++)
			played += s.strategy[i].wins + s.strategy[i].losses + s.strategy[i].draws;
		CHECK(played == 2 * s.matches, "%llu sides of %llu matches",
			(unsigned long long)played, (unsigned long long)s.matches);
		CHECK(s.matches % 66 == 0 && s.matches / 66 <= s.windows,
			"%llu matches in %llu windows", (unsigned long long)s.matches,
			(unsigned long long)s.windows);
	}
}

static void check_arguments(void)
{
	struct hak_policy_stats s;

	errno = 0;
	CHECK(hak_policy_stats(-1, 3, &s, sizeof s) == -1 && errno == EINVAL, "class 3");
	errno = 0;
	CHECK(hak_policy_stats(-2, 0, &s, sizeof s) == -1 && errno == EINVAL, "node -2");
	errno = 0;
	CHECK(hak_policy_stats(4000, 0, &s, sizeof s) == -1 && errno == EINVAL, "node 4000");
	memset(&s, 1, sizeof s);
	CHECK(hak_policy_stats(-1, 0, &s, sizeof s.choice) == 0 && s.choice == 32 << 20 &&
			s.windows == 0x0101010101010101,
		"a shorter structure");
}

/* What is frozen does not depend on the clock, and there are no canaries. */
static void check_purged(void)
{
	struct hak_stats before, after;

	hak_stats(&before, sizeof before);
	use(LARGE);
	use(LARGE);
	hak_stats(&after, sizeof after);
	CHECK(after.purged - before.purged >= 2 * LARGE,
		"of two large blocks %llu MiB were given back",
		(unsigned long long)(after.purged - before.purged) >> 20);
}

static void check_frozen(uint64_t choice)
{
	struct hak_policy_stats before = hot(), after;

	CHECK(hak_option_set("policy", "frozen") == 0, "frozen");
	for (unsigned i = 0; i < 500; i++)
		habit(true);
	check_purged();
	after = hot();
	CHECK(memcmp(&before, &after, sizeof before) == 0 && after.choice == choice,
		"frozen learned something");
	CHECK(hak_option_set("policy", "learn") == 0, "learn");
}

int main(void)
{
	struct hak_policy_stats s;

	if (TEST_SANITIZED)
		test_skip("the sanitizers make the program, not memory, what takes time");
	check_arguments();
	/* Blocks that move to huge pages are purged, whatever the choice. */
	CHECK(hak_option_set("huge", "0") == 0, "huge");
	CHECK(hak_option_set("policy", "learn") == 0, "learn");
	until(settled, SMALL, "quick reuse");
	s = hot();
	CHECK(s.choice >= SMALL, "quick reuse: choice %llu KiB",
		(unsigned long long)s.choice >> 10);
	CHECK(s.gone_found <= s.traffic / 50, "%llu of %llu MiB were gone",
		(unsigned long long)s.gone_found >> 20, (unsigned long long)s.traffic >> 20);
	until(purges_large, 0, "idle large blocks");
	s = hot();
	CHECK(s.choice >= SMALL, "what is used all the time is purged: choice %llu KiB",
		(unsigned long long)s.choice >> 10);
	check_frozen(s.choice);
	check_sums();
	/* Now the large one is what is used all the time. */
	until(keeps_large, LARGE, "large blocks reused at once");
	check_sums();
	return 0;
}
