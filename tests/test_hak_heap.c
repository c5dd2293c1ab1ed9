/*
 * First-class heaps: blocks are used and freed like others, by any thread; destroying a heap frees
 * all of it, as the statistics and the resident memory show.
 */
#include "hakmem.h"
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { THREADS = 4, BLOCKS = 3000 };

static struct hak_stats stats_now(void)
{
	struct hak_stats stats;

	hak_stats(&stats, sizeof stats);
	return stats;
}

static void check_baseline(const struct hak_stats *before, const char *what)
{
	struct hak_stats after = stats_now();

	CHECK(after.live_blocks == before->live_blocks, "%s: %llu live blocks, before %llu", what,
		(unsigned long long)after.live_blocks, (unsigned long long)before->live_blocks);
	CHECK(after.live == before->live, "%s: %llu live bytes, before %llu", what,
		(unsigned long long)after.live, (unsigned long long)before->live);
	CHECK(after.heaps_live == before->heaps_live, "%s: %llu live heaps, before %llu", what,
		(unsigned long long)after.heaps_live, (unsigned long long)before->heaps_live);
	CHECK(after.whales == before->whales, "%s: %llu whales, before %llu", what,
		(unsigned long long)after.whales, (unsigned long long)before->whales);
}

static size_t draw_size(uint64_t *seed)
{
	uint64_t draw = rng_next(seed);

	return draw % ((size_t)32 << (draw >> 56) % 14) + 1;
}

static void check_destroy(void)
{
	static char *block[BLOCKS];
	static size_t bytes[BLOCKS];
	struct hak_stats before = stats_now(), empty;
	hak_heap *heap = hak_heap_create();
	uint64_t seed = 1;

	CHECK(heap, "hak_heap_create: %s", strerror(errno));
	empty = stats_now();
	for (int i = 0; i < BLOCKS; i++) {
		bytes[i] = i == 7 ? 5 * MIB : draw_size(&seed);
		block[i] = hak_heap_alloc(heap, bytes[i], 0, 0);
		CHECK(block[i] && (uintptr_t)block[i] % 16 == 0, "block of %zu: %p", bytes[i],
			(void *)block[i]);
		pattern_fill(block[i], bytes[i], (uint64_t)i);
	}
	CHECK(stats_now().heaps_live > before.heaps_live, "a heap that is not counted");
	CHECK(stats_now().live_blocks == empty.live_blocks + BLOCKS, "%llu live blocks",
		(unsigned long long)stats_now().live_blocks);
	for (int i = 0; i < BLOCKS; i++) {
		CHECK(pattern_ok(block[i], bytes[i], (uint64_t)i), "block %d was overwritten", i);
		CHECK(hak_usable_size(block[i]) >= bytes[i], "usable %zu of %zu",
			hak_usable_size(block[i]), bytes[i]);
		if (i % 3 == 0)
			hak_free(block[i]);
		else if (i % 3 == 1)
			block[i] = hak_realloc(block[i], bytes[i] * 2);
	}
	/* What realloc made belongs to the caller or to the heap; freed, it is gone either way. */
	for (int i = 1; i < BLOCKS; i += 3) {
		CHECK(block[i] && pattern_ok(block[i], bytes[i], (uint64_t)i),
			"realloc lost bytes");
		hak_free(block[i]);
	}
	hak_heap_destroy(heap);
	check_baseline(&before, "after hak_heap_destroy");
	hak_heap_destroy(NULL);
}

static void check_arguments(void)
{
	hak_heap *heap = hak_heap_create();

	CHECK(heap, "hak_heap_create: %s", strerror(errno));
	for (size_t alignment = 1; alignment <= 8 * MIB; alignment *= 2) {
		for (size_t size = 0; size < 3 * MIB; size = size * 5 + 3) {
			char *block = hak_heap_alloc(heap, size, alignment, HAK_ZERO);

			CHECK(block && (uintptr_t)block % alignment == 0, "(%zu, %zu) gave %p",
				size, alignment, (void *)block);
			CHECK(all_zero(block, size), "(%zu, %zu) is not zero", size, alignment);
			memset(block, 0xcc, size);
			if (alignment & 0x55555)
				hak_free(block);
		}
	}
	errno = 0;
	CHECK(!hak_heap_alloc(heap, 10, 24, 0) && errno == EINVAL, "alignment 24: errno %d", errno);
	errno = 0;
	CHECK(!hak_heap_alloc(heap, opaque(SIZE_MAX), 0, 0) && errno == ENOMEM, "errno %d", errno);
	errno = 0;
	CHECK(!hak_heap_alloc(heap, opaque(PTRDIFF_MAX), 64, 0) && errno == ENOMEM, "errno %d",
		errno);
	hak_heap_destroy(heap);
}

static hak_heap *shared;
static _Atomic(char *) x_slot[64];

/* Allocates from the one heap; frees what another thread put into the slot. */
static void *use_shared(void *argument)
{
	uint64_t seed = (uintptr_t)argument;

	for (int i = 0; i < 4000; i++) {
		size_t bytes = draw_size(&seed) + sizeof bytes;
		char *block = hak_heap_alloc(shared, bytes, 0, i % 5 ? 0 : HAK_ZERO), *other;

		CHECK(block, "hak_heap_alloc(%zu)", bytes);
		CHECK(i % 5 || all_zero(block, bytes), "HAK_ZERO of %zu is not zero", bytes);
		memcpy(block, &bytes, sizeof bytes);
		pattern_fill(block + sizeof bytes, bytes - sizeof bytes, bytes);
		other = atomic_exchange(&x_slot[rng_next(&seed) % 64], block);
		if (!other)
			continue;
		memcpy(&bytes, other, sizeof bytes);
		CHECK(pattern_ok(other + sizeof bytes, bytes - sizeof bytes, bytes),
			"a block of %zu was overwritten", bytes);
		/* The rest stays for hak_heap_destroy. */
		if (i % 4)
			hak_free(other);
	}
	return NULL;
}

static void run_shared(void)
{
	pthread_t thread[THREADS];

	shared = hak_heap_create();
	CHECK(shared, "hak_heap_create: %s", strerror(errno));
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&thread[i], NULL, use_shared, (void *)(i + 1)) == 0,
			"pthread_create");
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	hak_heap_destroy(shared);
	for (int i = 0; i < 64; i++)
		atomic_store(&x_slot[i], NULL);
}

static void check_shared(void)
{
	struct hak_stats before;

	run_shared();
	before = stats_now();
	for (int round = 0; round < 5; round++) {
		run_shared();
		check_baseline(&before, "after threads shared a heap");
	}
}

static void *destroy_elsewhere(void *heap)
{
	hak_heap_destroy(heap);
	return NULL;
}

static void cycles(int count)
{
	uint64_t seed = 9;

	for (int i = 0; i < count; i++) {
		hak_heap *heap = hak_heap_create();

		CHECK(heap, "heap %d: %s", i, strerror(errno));
		for (int k = 0; k < 20; k++) {
			size_t bytes = draw_size(&seed) % 40000 + 1;
			char *block = hak_heap_alloc(heap, bytes, 0, 0);

			CHECK(block, "hak_heap_alloc(%zu)", bytes);
			memset(block, 1, bytes);
			if (k % 4 == 0)
				hak_free(block);
		}
		if (i % 100 == 0) {
			pthread_t thread;

			CHECK(pthread_create(&thread, NULL, destroy_elsewhere, heap) == 0,
				"thread");
			pthread_join(thread, NULL);
		} else {
			hak_heap_destroy(heap);
		}
	}
}

static void check_cycles(void)
{
	int count = TEST_SANITIZED ? 1000 : 10000;
	struct hak_stats before;
	size_t resident;

	cycles(count / 10);
	before = stats_now();
	resident = resident_bytes();
	cycles(count);
	check_baseline(&before, "after many heaps");
	CHECK(TEST_SANITIZED || resident_bytes() < resident + 2 * MIB,
		"%d heaps leave %zu KiB more", count, (resident_bytes() - resident) / KIB);
}

int main(void)
{
	/* This thread has a heap from here on. */
	hak_free(hak_malloc(1));
	check_destroy();
	check_arguments();
	check_shared();
	check_cycles();
	return 0;
}
