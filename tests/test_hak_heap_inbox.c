/*
 * Blocks of a first-class heap that are freed while other threads use the heap are free when these
 * are done, at the latest: nothing stays on its way, however big.
 */
#include "hakmem.h"
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { THREADS = 4, ROUNDS = TEST_SANITIZED ? 40 : 100, MOST = 64 };

static hak_heap *heap;
static atomic_bool x_stop;

/* The heap itself may have become bigger by up to `growth` bytes. */
static void check_nothing_left(uint64_t live, uint64_t growth, const char *what, int round)
{
	struct hak_stats stats;

	hak_stats(&stats, sizeof stats);
	CHECK(stats.queued == 0, "%s, round %d: %llu KiB stay on their way", what, round,
		(unsigned long long)stats.queued / KIB);
	CHECK(stats.live >= live && stats.live <= live + growth,
		"%s, round %d: %llu live bytes, before %llu", what, round,
		(unsigned long long)stats.live, (unsigned long long)live);
}

/* One block at a time, written to, so that the heap is in use most of the time. */
static void *use(void *size)
{
	size_t bytes = (size_t)size;

	while (!atomic_load_explicit(&x_stop, memory_order_relaxed)) {
		char *block = hak_heap_alloc(heap, bytes, 0, 0);

		CHECK(block, "hak_heap_alloc(%zu)", bytes);
		memset(block, 1, 4096);
		hak_free(block);
	}
	return NULL;
}

static void check_user_and_freer(size_t used, size_t freed)
{
	struct hak_stats before;
	uint64_t seed = used + freed;

	hak_stats(&before, sizeof before);
	for (int round = 0; round < ROUNDS; round++) {
		pthread_t thread;
		char *block[MOST];
		int count = freed > MIB ? 1 : MOST;

		for (int i = 0; i < count; i++) {
			block[i] = hak_heap_alloc(heap, freed, 0, 0);
			CHECK(block[i], "hak_heap_alloc(%zu)", freed);
			block[i][0] = 1;
		}
		atomic_store(&x_stop, false);
		CHECK(pthread_create(&thread, NULL, use, (void *)used) == 0, "pthread_create");
		for (uint64_t spin = rng_next(&seed) % 300000; spin > 0; spin--)
			atomic_signal_fence(memory_order_seq_cst);
		for (int i = 0; i < count; i++)
			hak_free(block[i]);
		atomic_store(&x_stop, true);
		pthread_join(thread, NULL);
		check_nothing_left(before.live, 0, "freed beside a user", round);
	}
}

static void *cycle(void *unused)
{
	(void)unused;
	for (int i = 0; i < 200; i++) {
		char *block = hak_heap_alloc(heap, MIB, 0, 0);

		CHECK(block, "hak_heap_alloc: %s", strerror(errno));
		block[0] = block[MIB / 2] = 1;
		hak_free(block);
	}
	return NULL;
}

/* More threads than heaps inside the heap, and one that needs none. */
static void check_crowd(int threads)
{
	pthread_t thread[MOST * 2];
	struct hak_stats before;

	hak_stats(&before, sizeof before);
	for (int i = 0; i < threads; i++)
		CHECK(pthread_create(&thread[i], NULL, cycle, NULL) == 0, "pthread_create");
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	/* Who finds every heap in use makes more of them: far less than one block of the crowd. */
	check_nothing_left(before.live, MIB / 2, "a crowd", threads);
}

int main(void)
{
	hak_free(hak_malloc(1));
	heap = hak_heap_create();
	CHECK(heap, "hak_heap_create: %s", strerror(errno));
	hak_free(hak_heap_alloc(heap, 1, 0, 0));
	check_user_and_freer(MIB, 100 * MIB);
	check_user_and_freer(MIB, 100 * KIB);
	check_user_and_freer(5000, 1000);
	check_crowd(THREADS);
	check_crowd(MOST * 2);
	hak_heap_destroy(heap);
	hak_verify();
	return 0;
}
