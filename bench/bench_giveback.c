/*
 * bench_giveback: `mib` of equal blocks are allocated and touched, then freed,
 * in the order of their addresses or (scatter=1) at random, and the process
 * sleeps. What it has given back then, over the calls it made, is what a call
 * achieves. per_block=1 has no allocator: one madvise for each block. A call of
 * getppid before the first free and one after the sleep mark what is counted.
 */
#define _GNU_SOURCE
#include "common.h"
#include "residency.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t mib = 1024;
static uint64_t size = 65536;
static uint64_t scatter;
static uint64_t per_block;
static void **blocks;
static size_t count;
static pthread_barrier_t barrier;
static uint64_t grown_kib;

static int by_address(const void *first, const void *second)
{
	uintptr_t a = (uintptr_t) * (void *const *)first;
	uintptr_t b = (uintptr_t) * (void *const *)second;

	return (a > b) - (a < b);
}

/* In place: qsort allocates. */
static void sift(size_t root, size_t end)
{
	for (size_t child; (child = 2 * root + 1) < end; root = child) {
		void *other = blocks[root];

		if (child + 1 < end && by_address(&blocks[child], &blocks[child + 1]) < 0)
			child++;
		if (by_address(&blocks[root], &blocks[child]) >= 0)
			return;
		blocks[root] = blocks[child];
		blocks[child] = other;
	}
}

static void put_in_order(void)
{
	struct rng rng = rng_stream(0);

	for (size_t i = count / 2; i; i--)
		sift(i - 1, count);
	for (size_t end = count; end > 1; end--) {
		size_t other = scatter ? rng_below(&rng, (uint32_t)end) : 0;
		void *block = blocks[other];

		blocks[other] = blocks[end - 1];
		blocks[end - 1] = block;
		if (!scatter)
			sift(0, end - 1);
	}
}

static void run_blocks(void)
{
	char *memory = per_block ? bench_map(count * size) : NULL;

	for (size_t i = 0; i < count; i++) {
		blocks[i] = memory ? memory + i * size : bench_alloc(size);
		bench_touch(blocks[i], size);
	}
	put_in_order();
	grown_kib = residency_kib();
	getppid();
	for (size_t i = 0; i < count; i++) {
		if (!memory)
			free(blocks[i]);
		else if (madvise(blocks[i], size, MADV_DONTNEED))
			bench_die("madvise: %s", strerror(errno));
	}
}

/* The last thread only waits: a process with threads is what a helper may serve. */
static void worker(unsigned index)
{
	if (!index)
		run_blocks();
	pthread_barrier_wait(&barrier);
	if (!index)
		residency_idle();
	if (!index)
		getppid();
	pthread_barrier_wait(&barrier);
}

int main(int argc, char **argv)
{
	const struct param params[] = {
		{"mib", &mib, "MiB of blocks"},
		{"size", &size, "bytes per block, whole pages"},
		{"scatter", &scatter, "1: freed in random order"},
		{"per_block", &per_block, "1: no allocator, one madvise for each block"},
		IDLE_PARAMS,
	};
	struct measure measure;

	bench_args(argc, argv, params, COUNT_OF(params));
	if (!mib || !size || size % PAGE_BYTES || (mib << 20) / size > UINT32_MAX)
		bench_die("size must be whole pages, and mib not 0");
	count = (mib << 20) / size;
	blocks = residency_table(count * sizeof(*blocks));
	pthread_barrier_init(&barrier, NULL, (unsigned)bench_threads);
	measure_begin(&measure);
	bench_workers((unsigned)bench_threads, worker);
	measure_end(&measure);
	measure_print("giveback", count, &measure, "grown_kib=%llu %s",
		(unsigned long long)grown_kib, residency_text());
	return 0;
}
