/*
 * policy_ratings.c: see policy_ratings.h.
 */
#define _GNU_SOURCE
#include "policy_ratings.h"

#include "common.h"
#include "hakmem.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define EVERY_MS 100u
#define CLASSES 3u
#define SAMPLES_MAX 1024u

struct sample {
	uint64_t ms;
	struct hak_policy_stats stats[CLASSES];
};

static struct sample *samples;
static _Atomic(unsigned) sample_count;
static int (*policy_stats)(int, unsigned, struct hak_policy_stats *, size_t);

static void *watch(void *unused)
{
	uint64_t begin = now_ns();

	(void)unused;
	for (unsigned i = 0; i < SAMPLES_MAX; i++) {
		samples[i].ms = (now_ns() - begin) / 1000000;
		for (unsigned class = 0; class < CLASSES; class ++)
			if (policy_stats(-1, class, &samples[i].stats[class],
				    sizeof(samples[i].stats[class])))
				return NULL;
		atomic_store(&sample_count, i + 1);
		usleep(EVERY_MS * 1000);
	}
	return NULL;
}

void ratings_start(void)
{
	void *found = dlsym(RTLD_DEFAULT, "hak_policy_stats");
	pthread_t thread;
	int error;

	if (!found)
		return;
	memcpy(&policy_stats, &found, sizeof(found));
	samples = bench_map(SAMPLES_MAX * sizeof(*samples));
	error = pthread_create(&thread, NULL, watch, NULL);
	if (error)
		bench_die("pthread_create: %s", strerror(error));
	pthread_detach(thread);
}

void ratings_print(void)
{
	unsigned count = atomic_load(&sample_count);

	for (unsigned i = 0; i < count; i++) {
		for (unsigned class = 0; class < CLASSES; class ++) {
			const struct hak_policy_stats *s = &samples[i].stats[class];

			printf("RATING %llu %u %llu %llu", (unsigned long long)samples[i].ms, class,
				(unsigned long long)s->choice >> 10,
				(unsigned long long)s->matches);
			for (unsigned arm = 0; arm < HAK_STRATEGIES; arm++)
				printf(" %.1f", s->strategy[arm].rating);
			putchar('\n');
		}
	}
}
