/*
 * hak_stats: live bytes and blocks are exact for known allocations, whoever frees them; whales,
 * heaps and batches are counted.
 */
#include "hakmem.h"
#include "test.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BLOCKS = 500 };
#define N(value) ((unsigned long long)(value))

static char *block[BLOCKS];

static struct hak_stats now(void)
{
	struct hak_stats stats;

	memset(&stats, 0xff, sizeof stats);
	hak_stats(&stats, sizeof stats);
	return stats;
}

static void expect_live(const struct hak_stats *base, size_t blocks, size_t bytes, const char *what)
{
	struct hak_stats stats = now();

	CHECK(stats.live_blocks == base->live_blocks + blocks, "%s: %llu blocks more, not %zu",
		what, N(stats.live_blocks - base->live_blocks), blocks);
	CHECK(stats.live == base->live + bytes, "%s: %lld bytes more, not %zu", what,
		(long long)(stats.live - base->live), bytes);
}

/* The live bytes are the blocks' class sizes: what is usable in them. */
static size_t allocate(size_t size, int count)
{
	size_t bytes = 0;

	for (int i = 0; i < count; i++) {
		block[i] = hak_malloc(size);
		CHECK(block[i], "hak_malloc(%zu)", size);
		bytes += hak_usable_size(block[i]);
	}
	return bytes;
}

static void *free_some(void *count)
{
	for (int i = 0; i < (int)(uintptr_t)count; i++)
		hak_free(block[i]);
	return NULL;
}

static void check_size(size_t size)
{
	int count = size > MIB ? 5 : size > 10000 ? 50 : BLOCKS;
	struct hak_stats base = now();
	size_t bytes = allocate(size, count), half = 0;
	char what[64];
	pthread_t thread;

	snprintf(what, sizeof what, "%d blocks of %zu", count, size);
	expect_live(&base, (size_t)count, bytes, what);
	CHECK(size < 128 || (bytes - size * (size_t)count) * 8 <= bytes, "%s take %zu live bytes",
		what, bytes);
	for (int i = count / 2; i < count; i++) {
		half += hak_usable_size(block[i]);
		hak_free(block[i]);
	}
	expect_live(&base, (size_t)(count / 2), bytes - half, "half of them freed");
	CHECK(pthread_create(&thread, NULL, free_some, (void *)(uintptr_t)(count / 2)) == 0,
		"thread");
	pthread_join(thread, NULL);
	expect_live(&base, 0, 0, "the rest freed by another thread");
}

static void check_realloc(void)
{
	struct hak_stats base = now();
	void *p = NULL;

	for (size_t size = 1; size < 20 * MIB; size += size / 2 + 1) {
		p = hak_realloc(p, size);
		CHECK(p, "hak_realloc to %zu", size);
		expect_live(&base, 1, hak_usable_size(p), "a block that grows");
	}
	hak_free(p);
	expect_live(&base, 0, 0, "freed");
}

static void check_whales(void)
{
	static const size_t sizes[] = {2 << 20, 3 << 20, 100 << 20};
	struct hak_stats base = now(), stats;

	for (size_t i = 0; i < 3; i++) {
		block[i] = hak_malloc(sizes[i]);
		CHECK(block[i], "hak_malloc(%zu)", sizes[i]);
		stats = now();
		CHECK(stats.whales == base.whales + i + 1, "%llu whales more after %zu",
			N(stats.whales - base.whales), i + 1);
	}
	CHECK(stats.whale_bytes - base.whale_bytes >= (105u << 20), "whale_bytes grew by %llu",
		N(stats.whale_bytes - base.whale_bytes));
	for (size_t i = 0; i < 3; i++)
		hak_free(block[i]);
	stats = now();
	CHECK(stats.whales == base.whales && stats.whale_bytes == base.whale_bytes,
		"%llu whales of %llu bytes are left", N(stats.whales - base.whales),
		N(stats.whale_bytes - base.whale_bytes));
}

static void check_sums(void)
{
	struct hak_stats stats = now();

	CHECK(stats.live <= stats.mapped && stats.mapped <= stats.reserved,
		"live %llu, mapped %llu, reserved %llu", N(stats.live), N(stats.mapped),
		N(stats.reserved));
	CHECK(stats.heaps_live >= 1 && stats.heaps_live <= stats.heaps, "%llu of %llu heaps live",
		N(stats.heaps_live), N(stats.heaps));
	CHECK(stats.spans_claimed >= stats.spans_freed, "%llu spans claimed, %llu freed",
		N(stats.spans_claimed), N(stats.spans_freed));
	CHECK(stats.nodes >= 1 && stats.nodes <= 64, "%llu nodes", N(stats.nodes));
	CHECK(stats.map_calls > 0 && stats.metadata > 0, "%llu map calls, %llu bytes of metadata",
		N(stats.map_calls), N(stats.metadata));
	CHECK(stats.remote_blocks >= stats.remote_batches, "%llu blocks in %llu batches",
		N(stats.remote_blocks), N(stats.remote_batches));
}

static pthread_barrier_t barrier;

static void *live_thread(void *unused)
{
	void *p = hak_malloc(100);

	CHECK(p, "hak_malloc(100)");
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	hak_free(p);
	return unused;
}

static void check_heaps(void)
{
	enum { THREADS = 5 };
	pthread_t thread[THREADS];
	struct hak_stats base = now(), stats;

	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&thread[i], NULL, live_thread, NULL) == 0, "pthread_create");
	pthread_barrier_wait(&barrier);
	stats = now();
	CHECK(stats.heaps_live == base.heaps_live + THREADS, "%d threads have %llu heaps", THREADS,
		N(stats.heaps_live - base.heaps_live));
	CHECK(stats.live_blocks == base.live_blocks + THREADS, "%d threads have %llu blocks",
		THREADS, N(stats.live_blocks - base.live_blocks));
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	stats = now();
	CHECK(stats.heaps_live == base.heaps_live, "%llu heaps are left",
		N(stats.heaps_live - base.heaps_live));
	pthread_barrier_destroy(&barrier);
}

/* A caller built against an older, shorter structure: nothing beyond it is written. */
static void check_short(void)
{
	struct {
		struct hak_stats stats;
		char guard[64];
	} wide;
	unsigned char *bytes = (unsigned char *)&wide;

	memset(&wide, 0xee, sizeof wide);
	hak_stats(&wide.stats, 16);
	for (size_t i = 16; i < sizeof wide; i++)
		CHECK(bytes[i] == 0xee, "hak_stats(p, 16) wrote byte %zu", i);
	memset(&wide, 0xee, sizeof wide);
	hak_stats(&wide.stats, sizeof wide.stats);
	CHECK((unsigned char)wide.guard[0] == 0xee, "hak_stats wrote beyond its structure");
}

int main(void)
{
	static const size_t sizes[] = {0, 1, 16, 17, 100, 128, 1000, 1024, 4000, 10000, 60000,
		65536, 262144, 1000000, 2 << 20, 5 << 20};

	/* The first use of threads and stdio allocates; not part of what is counted. */
	hak_free(hak_malloc(10));
	check_size(10);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		check_size(sizes[i]);
	check_realloc();
	check_whales();
	check_heaps();
	check_sums();
	check_short();
	return 0;
}
