/*
 * bench_transfer: tree-shaped live sets that move between threads. In each
 * round every thread builds small trees of blocks; some it frees, some it
 * exchanges for what another thread left in a shared table, some it leaves
 * there when it ends. New threads begin the next round.
 */
#include "common.h"

#include <stdatomic.h>

#define MAX_CHILDREN 6u
#define HELD_TREES 256u

struct node {
	uint32_t children;
	struct node *child[];
};

static uint64_t trees = 100000;
static uint64_t rounds = 10;
static uint64_t slots = 1024;
static _Atomic(struct node *) *table;
static uint64_t round_now;
static _Atomic uint64_t blocks_made;

static struct node *build(struct rng *rng, unsigned depth, uint64_t *made)
{
	uint32_t children = depth ? 1 + rng_below(rng, MAX_CHILDREN) : 0;
	size_t size = sizeof(struct node) + children * sizeof(struct node *);
	struct node *node;

	size += rng_log(rng, 8, 1024);
	node = bench_alloc(size);
	bench_touch(node, size);
	node->children = children;
	for (uint32_t i = 0; i < children; i++)
		node->child[i] = build(rng, depth - 1, made);
	++*made;
	return node;
}

static void destroy(struct node *node)
{
	if (!node)
		return;
	for (uint32_t i = 0; i < node->children; i++)
		destroy(node->child[i]);
	free(node);
}

static struct node *swap_slot(struct rng *rng, struct node *tree)
{
	return atomic_exchange(&table[rng_below(rng, (uint32_t)slots)], tree);
}

static void worker(unsigned index)
{
	uint64_t todo = bench_share(trees / rounds, index, (unsigned)bench_threads);
	struct rng rng = rng_stream(round_now * bench_threads + index);
	struct node *held[HELD_TREES] = {NULL};
	uint64_t made = 0;

	while (todo--) {
		uint32_t at = rng_below(&rng, HELD_TREES);

		/* Half of the trees are swapped for another thread's before they are freed. */
		if (rng_below(&rng, 2))
			held[at] = swap_slot(&rng, held[at]);
		destroy(held[at]);
		held[at] = build(&rng, 2, &made);
	}
	for (uint32_t i = 0; i < HELD_TREES; i++) {
		if (i % 4 == 0)
			held[i] = swap_slot(&rng, held[i]);
		destroy(held[i]);
	}
	atomic_fetch_add(&blocks_made, made);
}

int main(int argc, char **argv)
{
	const struct param params[] = {
	        {"ops", &trees, "trees in all threads and rounds together"},
	        {"rounds", &rounds, "generations of threads"},
	        {"slots", &slots, "trees in the shared table"},
	};
	struct measure measure;

	bench_args(argc, argv, params, COUNT_OF(params));
	if (!rounds || !slots || slots > UINT32_MAX)
		bench_die("rounds and slots must be at least 1");
	table = bench_map(slots * sizeof(*table));
	measure_begin(&measure);
	for (round_now = 0; round_now < rounds; round_now++)
		bench_workers((unsigned)bench_threads, worker);
	for (uint64_t i = 0; i < slots; i++)
		destroy(atomic_load(&table[i]));
	measure_end(&measure);
	measure_print("transfer", atomic_load(&blocks_made), &measure, "trees=%llu",
	        (unsigned long long)trees);
	return 0;
}
