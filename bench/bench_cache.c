/*
 * bench_cache: false sharing. Each thread allocates a small block, writes it
 * in a loop and frees it. Blocks of two threads in one cache line make the
 * writing slow. thrash: the allocator itself hands out such neighbours
 * (active). scratch: the threads first free neighbours that the main thread
 * gave them, and an allocator that hands these out again keeps the line
 * shared (passive).
 */
#include "common.h"

#include <pthread.h>

static uint64_t blocks = 400000;
static uint64_t writes = 100;
static uint64_t size = 8;
static uint64_t scratch;
static void **given;
static pthread_barrier_t start;

static void worker(unsigned index)
{
	uint64_t todo = bench_share(blocks, index, (unsigned)bench_threads);

	pthread_barrier_wait(&start);
	if (scratch)
		free(given[index]);
	for (uint64_t i = 0; i < todo; i++) {
		volatile unsigned char *block = bench_alloc(size);

		for (uint64_t j = 0; j < writes; j++)
			for (uint64_t k = 0; k < size; k++)
				block[k]++;
		free((void *)block);
	}
}

int main(int argc, char **argv)
{
	const struct param params[] = {
	        {"ops", &blocks, "blocks in all threads together"},
	        {"writes", &writes, "times that each byte of a block is written"},
	        {"size", &size, "bytes per block"},
	        {"scratch", &scratch, "1: start from blocks of the main thread"},
	};
	struct measure measure;

	bench_args(argc, argv, params, COUNT_OF(params));
	if (!size)
		bench_die("size must be at least 1");
	pthread_barrier_init(&start, NULL, (unsigned)bench_threads);
	given = bench_map_resident(bench_threads * sizeof(*given));
	for (unsigned i = 0; scratch && i < bench_threads; i++)
		given[i] = bench_alloc(size);
	measure_begin(&measure);
	bench_workers((unsigned)bench_threads, worker);
	measure_end(&measure);
	measure_print(scratch ? "cache-scratch" : "cache-thrash", blocks, &measure, NULL);
	return 0;
}
