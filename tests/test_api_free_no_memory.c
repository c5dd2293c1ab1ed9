/*
 * free() needs no memory: threads whose first call it is can free blocks of every kind when the
 * address space is used up, and what they freed can be used again.
 */
#include "api.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* Whatever the number of threads is for which the allocator has room in advance, some go over. */
enum { IDLE = 64, FREEING = 64, KINDS = 5 };

static const size_t sizes[KINDS] = {100, 1000, 10000, 100000, 3 << 20};
static pthread_barrier_t barrier;
/* Of a thread that lives on, and of one that has ended. */
static void *block[2][FREEING][KINDS];

static void limit_to(rlim_t bytes)
{
	struct rlimit limit = {bytes, RLIM_INFINITY};

	CHECK(setrlimit(RLIMIT_AS, &limit) == 0, "setrlimit: %s", strerror(errno));
}

static void *fill(void *slot)
{
	void *(*to)[KINDS] = slot;

	for (int i = 0; i < FREEING; i++) {
		for (int k = 0; k < KINDS; k++) {
			/* A few big ones are enough. */
			if (sizes[k] >= MIB && i >= 4)
				break;
			to[i][k] = a_malloc(sizes[k]);
			CHECK(to[i][k], "malloc(%zu)", sizes[k]);
			memset(to[i][k], 1, sizes[k]);
		}
	}
	return NULL;
}

static void *idle_thread(void *unused)
{
	(void)unused;
	a_free(a_malloc(10));
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void *freeing_thread(void *number)
{
	int i = (int)(uintptr_t)number;

	pthread_barrier_wait(&barrier);
	errno = 77;
	for (int of = 0; of < 2; of++) {
		for (int k = 0; k < KINDS; k++)
			a_free(block[of][i][k]);
	}
	CHECK(errno == 77, "free without memory set errno to %d", errno);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void check_used_again(void)
{
	pthread_t thread;

#if TEST_FORM_HAK
	struct hak_stats stats;

	hak_stats(&stats, sizeof stats);
	CHECK(stats.live_blocks == 0 && stats.whales == 0,
		"%llu live blocks of %llu bytes, %llu whales: all were freed",
		(unsigned long long)stats.live_blocks, (unsigned long long)stats.live,
		(unsigned long long)stats.whales);
#endif
	for (int round = 0; round < 3; round++) {
		CHECK(pthread_create(&thread, NULL, fill, block[0]) == 0, "pthread_create");
		pthread_join(thread, NULL);
		for (int i = 0; i < FREEING; i++) {
			for (int k = 0; k < KINDS; k++)
				a_free(block[0][i][k]);
		}
	}
#if TEST_FORM_HAK
	hak_verify();
#endif
}

int main(void)
{
	pthread_t thread[IDLE + FREEING], filling;
	pthread_attr_t small_stack;

	if (TEST_SANITIZED)
		test_skip("the sanitizers need memory of their own at any time");
	api_begin();
	CHECK(pthread_barrier_init(&barrier, NULL, IDLE + FREEING + 1) == 0, "barrier");
	CHECK(pthread_attr_init(&small_stack) == 0 &&
			pthread_attr_setstacksize(&small_stack, 128 * KIB) == 0,
		"attributes of a thread");
	fill(block[0]);
	CHECK(pthread_create(&filling, NULL, fill, block[1]) == 0, "pthread_create");
	pthread_join(filling, NULL);
	for (uintptr_t i = 0; i < IDLE + FREEING; i++) {
		int failed = pthread_create(&thread[i], &small_stack,
			i < IDLE ? idle_thread : freeing_thread, (void *)(i - IDLE));

		CHECK(!failed, "thread %zu: %s", (size_t)i, strerror(failed));
	}
	/* At the first meeting all idle threads have heaps, and no freeing one has. */
	limit_to(space_bytes());
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	limit_to(RLIM_INFINITY);
	for (int i = 0; i < IDLE + FREEING; i++)
		pthread_join(thread[i], NULL);
	check_used_again();
	return 0;
}
