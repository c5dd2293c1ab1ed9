/*
 * stress_churn: short-lived threads. Each allocates, frees some of its blocks,
 * leaves the rest on a board for whoever comes by, frees what it finds there,
 * and ends. No heap may be lost: there are never more than threads alive.
 */
#include "common.h"

enum { BOARD = 512 };

static slot board[BOARD];

static void *short_life(void *arg)
{
	struct worker *w = arg;
	struct bag *bag = &w->bag;
	struct item it;

	for (size_t n = random_below(w, 200); n > 0; n--)
		if (item_new(w, &it, random_size(w, 0, random_chance(w, 5) ? 256 * KIB : 2 * KIB)))
			bag_put(bag, &it);
	for (size_t n = random_below(w, bag->count + 1); n > 0; n--) {
		it = bag_pick(w, bag);
		item_free(&it);
	}
	while (bag->count > 0) {
		it = bag_pick(w, bag);
		if (slot_post(w, &board[random_below(w, BOARD)], &it, &it))
			item_free(&it);
	}
	for (size_t n = random_below(w, 100); n > 0; n--)
		if (slot_take(&board[random_below(w, BOARD)], &it))
			item_free(&it);
	return NULL;
}

static void work(struct worker *w)
{
	for (size_t n = effort(200); n > 0 && keep_going(w); n--)
		thread_join(thread_start(short_life, w));
}

static void after(void)
{
	struct hak_stats s;
	uint64_t most;

	slots_drain(board, BOARD);
	hak_stats(&s, sizeof s);
	/* Workers, their children, main, and a helper of the library; heaps stay on their node. */
	most = baseline.heaps + (2 * threads + 2) * s.nodes;
	if (s.heaps > most)
		fail("%llu heaps were made, at most %llu threads were alive",
			(unsigned long long)s.heaps, (unsigned long long)most);
}

const struct program program = {
	.name = "stress_churn",
	.budget = 64 * MIB,
	.work = work,
	.after = after,
};
