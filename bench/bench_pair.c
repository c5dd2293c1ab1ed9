/*
 * bench_pair: one block at a time: allocate, one store per 4 KiB, free.
 */
#include "common.h"

static uint64_t pairs = 10000000;
static uint64_t size = 16;

static void worker(unsigned index)
{
	uint64_t todo = bench_share(pairs, index, (unsigned)bench_threads);

	for (uint64_t i = 0; i < todo; i++) {
		void *block = bench_alloc(size);

		bench_touch(block, size);
		free(block);
	}
}

int main(int argc, char **argv)
{
	const struct param params[] = {
	        {"ops", &pairs, "pairs in all threads together"},
	        {"size", &size, "bytes per block"},
	};
	struct measure measure;

	bench_args(argc, argv, params, COUNT_OF(params));
	if (!size)
		bench_die("size must be at least 1");
	measure_begin(&measure);
	bench_workers((unsigned)bench_threads, worker);
	measure_end(&measure);
	measure_print("pair", pairs, &measure, "size=%llu", (unsigned long long)size);
	return 0;
}
