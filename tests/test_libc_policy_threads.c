/*
 * What a thread has learned is there for the threads that come after it: of two sizes the one that
 * idled is purged from a new thread's first free on, and every match is in the process's statistics
 * once, after many threads have merged at their ends.
 */
#include "api.h"
#include "hakmem.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { SMALL = 2 << 20, LARGE = 12 << 20, LARGE_EVERY_MS = 40, THREADS = 8, PATIENCE_MS = 30000 };

static int (*policy_stats)(int, unsigned, struct hak_policy_stats *, size_t);
static void (*stats)(struct hak_stats *, size_t);

static void use(size_t size)
{
	use_block(a_malloc, a_free, size);
}

static struct hak_policy_stats hot(void)
{
	struct hak_policy_stats s;

	CHECK(policy_stats(-1, HAK_SITE_HOT, &s, sizeof s) == 0, "hak_policy_stats");
	return s;
}

static void *learn(void *unused)
{
	uint64_t end = now_ms() + PATIENCE_MS, next = 0;

	(void)unused;
	while (now_ms() < end && hot().choice >= LARGE) {
		use(SMALL);
		if (now_ms() >= next) {
			use(LARGE);
			next = now_ms() + LARGE_EVERY_MS;
		}
	}
	return NULL;
}

static void *profit(void *unused)
{
	struct hak_stats before, after;

	(void)unused;
	stats(&before, sizeof before);
	use(LARGE);
	stats(&after, sizeof after);
	CHECK(after.purged - before.purged >= LARGE, "a new thread had %llu MiB purged",
		(unsigned long long)(after.purged - before.purged) >> 20);
	return NULL;
}

static void *play(void *unused)
{
	uint64_t windows = hot().windows, end = now_ms() + PATIENCE_MS;

	(void)unused;
	while (now_ms() < end && hot().windows < windows + 2)
		use(SMALL);
	return NULL;
}

static void run(void *(*body)(void *), unsigned threads)
{
	pthread_t thread[THREADS];

	for (unsigned i = 0; i < threads; i++)
		CHECK(pthread_create(&thread[i], NULL, body, NULL) == 0, "pthread_create");
	for (unsigned i = 0; i < threads; i++)
		CHECK(pthread_join(thread[i], NULL) == 0, "pthread_join");
}

int main(void)
{
	int (*set)(const char *, const char *);
	struct hak_policy_stats s;
	uint64_t played = 0;

	api_begin();
	*(void **)&policy_stats = dlsym(RTLD_DEFAULT, "hak_policy_stats");
	*(void **)&stats = dlsym(RTLD_DEFAULT, "hak_stats");
	*(void **)&set = dlsym(RTLD_DEFAULT, "hak_option_set");
	if (!policy_stats || !stats || !set)
		test_skip("this allocator has no such policy");
	CHECK(set("policy", "learn") == 0, "policy");
	use(SMALL); /* from here on threads share what they learn */
	use(SMALL);
	run(learn, 1);
	CHECK(hot().choice < LARGE, "nothing was learned in %u s", PATIENCE_MS / 1000);
	run(profit, 1);
	run(play, THREADS);
	s = hot();
	for (unsigned i = 0; i < HAK_STRATEGIES; i++)
		played += s.strategy[i].wins + s.strategy[i].losses + s.strategy[i].draws;
	CHECK(played == 2 * s.matches && s.matches % 66 == 0 && s.windows >= s.matches / 66,
		"%llu sides, %llu matches, %llu windows", (unsigned long long)played,
		(unsigned long long)s.matches, (unsigned long long)s.windows);
	return 0;
}
