/*
 * bench_count: the loop whose instructions are counted: `ops` times allocate,
 * store one byte, free; or batches of `live` blocks freed in scattered order.
 * Twice the operations minus once leaves the cost of the operations alone.
 */
#include "common.h"

static uint64_t ops = 10000;
static uint64_t size = 16;
static uint64_t live = 1;

/* No check for NULL, nothing reread from memory: the loop should add as little as it can. */
static void count_pairs(size_t bytes, uint64_t count)
{
	for (uint64_t i = count; i; i--) {
		volatile unsigned char *block = malloc(bytes);

		*block = 1;
		free((void *)block);
	}
}

static void count_batches(size_t bytes, uint64_t batches, size_t length)
{
	volatile unsigned char **held = bench_map_resident(length * sizeof(*held));
	uint32_t *order = bench_map_resident(length * sizeof(*order));
	struct rng rng = rng_stream(0);

	for (uint32_t i = 0; i < length; i++) {
		uint32_t other = rng_below(&rng, i + 1);

		order[i] = order[other];
		order[other] = i;
	}
	for (uint64_t i = batches; i; i--) {
		for (size_t j = 0; j < length; j++) {
			held[j] = malloc(bytes);
			*held[j] = 1;
		}
		for (size_t j = 0; j < length; j++)
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
		count_pairs(size, ops);
	else
		count_batches(size, ops / live, live);
	measure_end(&measure);
	measure_print("count", ops, &measure, NULL);
	return 0;
}
