/*
 * stress_realloc: blocks grow and shrink across all size ranges, small to
 * whale and back, by steps and by leaps, in the hands of one thread after the
 * other; the contents must survive.
 */
#include "common.h"

enum { SLOTS = 32, BLOCKS = 48 };

static slot board[SLOTS];

static size_t next_size(struct worker *w, size_t size)
{
	size_t top = random_chance(w, 3) ? 16 * MIB : random_chance(w, 20) ? MIB : 16 * KIB;

	switch (random_below(w, 5)) {
	case 0: /* as a growing buffer does */
		return size < 8 * MIB ? size + size / 2 + 1 : size / 64 + 1;
	case 1:
		return size + 1 + random_below(w, 64);
	case 2:
		return size > 1 ? size - random_below(w, size / 2 + 1) : 1;
	case 3:
		return size / 16 + 1;
	default:
		return random_size(w, 1, top);
	}
}

/* realloc as malloc, and as free. */
static void edges(struct worker *w)
{
	struct item it;
	size_t size = random_size(w, 0, 64 * KIB);

	if (!budget_take(size))
		return;
	item_adopt(w, &it, hak_realloc(NULL, size), size);
	if (hak_realloc(item_release(&it), 0) != NULL)
		fail("realloc of a block to 0 bytes is not NULL");
}

static void work(struct worker *w)
{
	struct bag *bag = &w->bag;

	for (size_t n = effort(12000); n > 0 && keep_going(w); n--) {
		struct item it;

		if (bag->count < BLOCKS) {
			if (random_chance(w, 50) ? item_new(w, &it, next_size(w, 1))
						 : item_zeroed(w, &it, next_size(w, 1)))
				bag_put(bag, &it);
			edges(w);
		}
		if (bag->count == 0)
			continue;
		it = bag_pick(w, bag);
		if (!item_resize(w, &it, next_size(w, it.asked)))
			item_resize(w, &it, 1);
		if (random_chance(w, 30) && !slot_post(w, &board[random_below(w, SLOTS)], &it, &it))
			continue;
		if (random_chance(w, 10))
			item_free(&it);
		else
			bag_put(bag, &it);
		if (!bag_full(bag) && slot_take(&board[random_below(w, SLOTS)], &it))
			bag_put(bag, &it);
	}
	bag_drain(w, bag);
}

static void after(void)
{
	slots_drain(board, SLOTS);
}

const struct program program = {
	.name = "stress_realloc",
	.budget = 256 * MIB,
	.work = work,
	.after = after,
};
