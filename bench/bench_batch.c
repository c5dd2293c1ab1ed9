/*
 * bench_batch: each thread allocates `live` blocks of one size, then frees
 * them all, in the order of allocation or scattered, and starts again. With
 * several threads and small blocks this is threadtest: nothing is shared, so
 * it shows how an allocator scales.
 */
#include "common.h"

static uint64_t blocks = 5000000;
static uint64_t live = 10000;
static uint64_t size = 64;
static uint64_t scattered;

static void worker(unsigned index)
{
	uint64_t todo = bench_share(blocks, index, (unsigned)bench_threads);
	struct rng rng = rng_stream(index);
	uint32_t *order = bench_map_resident(live * sizeof(*order));
	void **held = bench_map_resident(live * sizeof(*held));

	for (uint32_t i = 0; i < live; i++) {
		uint32_t other = scattered ? rng_below(&rng, i + 1) : i;

		order[i] = order[other];
		order[other] = i;
	}
	while (todo) {
		uint64_t count = todo < live ? todo : live;

		for (uint64_t i = 0; i < count; i++) {
			held[i] = bench_alloc(size);
			bench_touch(held[i], size);
		}
		for (uint64_t i = 0; i < live; i++)
			if (order[i] < count)
				free(held[order[i]]);
		todo -= count;
	}
}

int main(int argc, char **argv)
{
	const struct param params[] = {
	        {"ops", &blocks, "blocks in all threads together"},
	        {"live", &live, "blocks per batch"},
	        {"size", &size, "bytes per block"},
	        {"scatter", &scattered, "1: free in a random order"},
	};
	struct measure measure;

	bench_args(argc, argv, params, COUNT_OF(params));
	if (!size || !live || live > UINT32_MAX)
		bench_die("size and live must be at least 1, live below 2^32");
	measure_begin(&measure);
	bench_workers((unsigned)bench_threads, worker);
	measure_end(&measure);
	measure_print("batch", blocks, &measure, "size=%llu", (unsigned long long)size);
	return 0;
}
