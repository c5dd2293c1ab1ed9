/*
 * stress_whale: blocks of 1 to 64 MiB are made, resized, passed between
 * threads and freed, with small ones in between. Only some words of each are
 * touched, so little of it becomes resident.
 */
#include "common.h"

enum { SLOTS = 16, WHALES = 6 };

static slot board[SLOTS];

static size_t whale_size(struct worker *w)
{
	return random_size(w, MIB, random_chance(w, 20) ? 64 * MIB : 8 * MIB);
}

static bool whale_new(struct worker *w, struct item *it)
{
	size_t size = whale_size(w);
	size_t alignment = (size_t)1 << random_below(w, 25);

	if (random_chance(w, 10))
		return item_zeroed(w, it, size);
	if (random_chance(w, 80))
		return item_new(w, it, size);
	if (!budget_take(size))
		return false;
	item_adopt(w, it, hak_aligned_alloc(alignment, size), size);
	if ((uintptr_t)it->p % alignment != 0)
		fail("block %p of %zu bytes is not aligned to %zu", (void *)it->p, size, alignment);
	return true;
}

static void work(struct worker *w)
{
	struct bag *bag = &w->bag;

	for (size_t n = effort(800); n > 0 && keep_going(w); n--) {
		struct item it;

		if (whale_new(w, &it)) {
			bag_put(bag, &it);
		} else if (bag->count > 0) {
			it = bag_pick(w, bag);
			item_free(&it);
		}
		if (bag->count > 0 && random_chance(w, 30)) {
			it = bag_pick(w, bag);
			/* Out of the whales and back as well. */
			item_resize(w, &it,
				random_chance(w, 20) ? random_size(w, 1, MIB) : whale_size(w));
			bag_put(bag, &it);
		}
		while (bag->count > WHALES) {
			it = bag_pick(w, bag);
			if (random_chance(w, 40) ||
				slot_post(w, &board[random_below(w, SLOTS)], &it, &it))
				item_free(&it);
		}
		if (slot_take(&board[random_below(w, SLOTS)], &it)) {
			item_check(&it);
			bag_put(bag, &it);
		}
		if (item_new(w, &it, random_size(w, 1, 64 * KIB)))
			item_free(&it);
	}
	bag_drain(w, bag);
}

static void after(void)
{
	slots_drain(board, SLOTS);
}

const struct program program = {
	.name = "stress_whale",
	.budget = 768 * MIB,
	.work = work,
	.after = after,
};
