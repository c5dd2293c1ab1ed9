/*
 * bench_count: the loop whose instructions are counted: `ops` times allocate,
 * store one byte, free; or batches of `live` blocks freed in scattered order.
 * Twice the operations minus once leaves the cost of the operations alone.
 */
#include "common.h"

static uint64_t ops = 10000;
static uint64_t size = 16;
static uint64_t live = 1;

static void count_pairs(void)
{
	for (uint64_t i = ops; i; i--) {
		volatile unsigned char *block = bench_alloc(size);

		*block = 1;
		free((void *)block);
	}
}

static void count_batches(void)
{
	volatile unsigned char **held = bench_map_resident(live * sizeof(*held));
	uint32_t *order = bench_map_resident(live * sizeof(*order));
	struct rng rng = rng_stream(0);

	for (uint32_t i = 0; i < live; i++) {
		uint32_t other = rng_below(&rng, i + 1);

		order[i] = order[other];
		order[other] = i;
	}
	for (uint64_t i = ops / live; i; i--) {
		for (uint64_t j = 0; j < live; j++) {
			held[j] = bench_alloc(size);
			*held[j] = 1;
		}
		for (uint64_t j = 0; j < live; j++)
			free((void *)held[order[j]]);
	}
}

int main(int argc, char **argv)
{
	const struct param params[] = {
	        {"ops", &ops, "blocks in all"},
	        {"size", &size, "bytes per block"},
	        {"live", &live, "blocks per batch; 1: one block at a time"},
	};
	struct measure measure;

	bench_args(argc, argv, params, COUNT_OF(params));
	if (!size || !live || live > UINT32_MAX || ops % live)
		bench_die("size and live must be at least 1, ops a multiple of live");
	measure_begin(&measure);
	if (live == 1)
		count_pairs();
	else
		count_batches();
	measure_end(&measure);
	measure_print("count", ops, &measure, NULL);
	return 0;
}
