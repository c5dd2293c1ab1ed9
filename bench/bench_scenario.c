/*
 * bench_scenario: the four named scenarios. One operation is allocate, use,
 * free; use is one store per 4 KiB page, or (fill=1) the whole block written.
 *
 *   json   64 KiB,  1,000 operations, one block live
 *   mir    256 KiB, 10,000 operations (100 passes of 100), one block live
 *   vm     2 MiB,   1,000 operations (100 passes of 10), one block live
 *   mixed  64K 64K 64K 256K 256K 2M at random, 1,000 operations, 8 blocks live
 *
 * limit=1 runs the same loop with no allocator: as many resident blocks as are
 * live, each page-aligned, used in the same way. What an allocator costs is
 * what it takes beyond that.
 */
#include "common.h"

#include <string.h>

#define KIB 1024u
#define MIB (1024u * KIB)
#define MAX_LIVE 8u

struct scenario {
	const char *name;
	uint32_t sizes[6];
	uint32_t size_count;
	uint32_t live;
	uint32_t pass; /* operations of the first pass, left out of the steady time */
	uint64_t ops;
};

static const struct scenario scenarios[] = {
        {"json", {64 * KIB}, 1, 1, 100, 1000},
        {"mir", {256 * KIB}, 1, 1, 100, 10000},
        {"vm", {2 * MIB}, 1, 1, 10, 1000},
        {"mixed", {64 * KIB, 64 * KIB, 64 * KIB, 256 * KIB, 256 * KIB, 2 * MIB}, 6, 8, 100, 1000},
};

static uint64_t which;
static uint64_t fill;
static uint64_t limit;
static uint64_t ops;
static unsigned char *resident[MAX_LIVE];

static inline void use(void *block, size_t size)
{
	if (fill)
		memset(block, (int)(size >> 16), size);
	else
		bench_touch(block, size);
	KEEP(block);
}

static inline void *take(uint32_t slot, size_t size)
{
	return limit ? resident[slot] : bench_alloc(size);
}

static inline void give_back(void *block)
{
	KEEP(block);
	if (!limit)
		free(block);
}

static void run_ops(
        const struct scenario *scenario, struct rng *rng, void **held, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++) {
		uint32_t slot = (uint32_t)(i % scenario->live);
		uint32_t draw = scenario->size_count > 1 ? rng_below(rng, scenario->size_count) : 0;
		size_t size = scenario->sizes[draw];

		if (scenario->live > 1 && held[slot])
			give_back(held[slot]);
		held[slot] = take(slot, size);
		use(held[slot], size);
		if (scenario->live == 1)
			give_back(held[slot]);
	}
}

static void make_resident(const struct scenario *scenario)
{
	size_t bytes = scenario->sizes[scenario->size_count - 1];

	for (uint32_t i = 0; i < scenario->live; i++)
		resident[i] = bench_map_resident(bytes);
}

int main(int argc, char **argv)
{
	const struct param params[] = {
	        {"which", &which, "0 json, 1 mir, 2 vm, 3 mixed"},
	        {"fill", &fill, "1: write the whole block"},
	        {"limit", &limit, "1: no allocator, resident blocks"},
	        {"ops", &ops, "operations, 0: the scenario's number"},
	};
	const struct scenario *scenario;
	void *held[MAX_LIVE] = {NULL};
	struct measure measure;
	struct rng rng;
	uint64_t steady;

	bench_args(argc, argv, params, COUNT_OF(params));
	if (which >= COUNT_OF(scenarios))
		bench_die("which must be from 0 to %zu", COUNT_OF(scenarios) - 1);
	scenario = &scenarios[which];
	if (!ops)
		ops = scenario->ops;
	if (ops <= scenario->pass)
		bench_die("ops must be more than the first pass of %u", scenario->pass);
	if (limit)
		make_resident(scenario);
	rng = rng_stream(0);
	measure_begin(&measure);
	run_ops(scenario, &rng, held, 0, scenario->pass);
	steady = now_ns();
	run_ops(scenario, &rng, held, scenario->pass, ops);
	steady = now_ns() - steady;
	for (uint32_t i = 0; scenario->live > 1 && i < scenario->live; i++)
		give_back(held[i]);
	measure_end(&measure);
	measure_print(scenario->name, ops, &measure, "fill=%llu limit=%llu steady_ns=%llu",
	        (unsigned long long)fill, (unsigned long long)limit,
	        (unsigned long long)(steady / (ops - scenario->pass)));
	return 0;
}
