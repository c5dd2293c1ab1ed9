/*
 * bench_larson: a server under load. Each thread owns a table of live blocks
 * of random size and replaces random ones; after a round it hands the whole
 * table to a new thread and ends, so most blocks are freed by a thread that
 * did not allocate them, and every heap is left behind full.
 */
#include "common.h"

#include <pthread.h>
#include <semaphore.h>
#include <string.h>

struct chain {
	struct rng rng;
	uint64_t rounds_left;
	uint64_t replacements;
	void **blocks;
};

static uint64_t replacements = 4000000;
static uint64_t rounds = 20;
static uint64_t live = 5000;
static uint64_t low = 8;
static uint64_t high = 1024;
static sem_t finished;

static void *new_block(struct chain *chain)
{
	size_t size = low + rng_below(&chain->rng, (uint32_t)(high - low));
	unsigned char *block = bench_alloc(size);

	block[0] = block[size - 1] = (unsigned char)size;
	return block;
}

static void *round_main(void *argument);

static void start_round(struct chain *chain)
{
	pthread_attr_t attr;
	pthread_t handle;
	int error;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	error = pthread_create(&handle, &attr, round_main, chain);
	if (error)
		bench_die("pthread_create: %s", strerror(error));
	pthread_attr_destroy(&attr);
}

static void *round_main(void *argument)
{
	struct chain *chain = argument;

	for (uint64_t i = 0; i < chain->replacements; i++) {
		uint32_t slot = rng_below(&chain->rng, (uint32_t)live);

		free(chain->blocks[slot]);
		chain->blocks[slot] = new_block(chain);
	}
	if (--chain->rounds_left) {
		start_round(chain);
		return NULL;
	}
	for (uint64_t i = 0; i < live; i++)
		free(chain->blocks[i]);
	sem_post(&finished);
	return NULL;
}

static void start_chain(struct chain *chain, unsigned index)
{
	chain->rng = rng_stream(index);
	chain->rounds_left = rounds;
	chain->replacements = replacements / bench_threads / rounds;
	for (uint64_t i = 0; i < live; i++)
		chain->blocks[i] = new_block(chain);
	start_round(chain);
}

int main(int argc, char **argv)
{
	const struct param params[] = {
	        {"ops", &replacements, "replacements in all threads together"},
	        {"rounds", &rounds, "threads that a table passes through"},
	        {"live", &live, "blocks per table"},
	        {"low", &low, "smallest size"},
	        {"high", &high, "sizes are below this"},
	};
	struct measure measure;
	struct chain *chains;

	bench_args(argc, argv, params, COUNT_OF(params));
	if (!low || high <= low || high > UINT32_MAX || !rounds || !live || live > UINT32_MAX)
		bench_die("needs 0 < low < high < 2^32, rounds and live at least 1");
	sem_init(&finished, 0, 0);
	chains = bench_map(bench_threads * sizeof(*chains));
	for (unsigned i = 0; i < bench_threads; i++)
		chains[i].blocks = bench_map_resident(live * sizeof(void *));
	measure_begin(&measure);
	for (unsigned i = 0; i < bench_threads; i++)
		start_chain(&chains[i], i);
	for (unsigned i = 0; i < bench_threads; i++)
		while (sem_wait(&finished))
			;
	measure_end(&measure);
	measure_print("larson", replacements, &measure, "rounds=%llu", (unsigned long long)rounds);
	return 0;
}
