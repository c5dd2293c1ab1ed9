/*
 * stress_purge: one thread gives memory back without pause while the others
 * allocate, dirty and free; no block in use may lose its contents, and a
 * zeroed block must be zero whether its memory was purged, dirty or both.
 */
#include "common.h"

enum { SLOTS = 64 };

static slot board[SLOTS];
static _Atomic unsigned working;

static void purge_loop(struct worker *w)
{
	/* Some pages of its own too, as hak_purge empties the caller's caches. */
	while (atomic_load_explicit(&working, memory_order_relaxed) > 0) {
		struct item it;

		for (unsigned i = 0; i < 20; i++)
			if (item_zeroed(w, &it, random_size(w, 0, 128 * KIB)))
				item_free(&it);
		hak_purge();
		if (slot_take(&board[random_below(w, SLOTS)], &it))
			item_free(&it);
	}
}

static void use_memory(struct worker *w)
{
	struct bag *bag = &w->bag;
	size_t fill = 50 + random_below(w, 500);

	for (size_t n = effort(10000); n > 0 && keep_going(w); n--) {
		struct item it;
		size_t top = random_chance(w, 2) ? 4 * MIB : random_chance(w, 30) ? 128 * KIB : KIB;
		size_t size = random_size(w, 0, top);

		if (random_chance(w, 50) ? item_new(w, &it, size) : item_zeroed(w, &it, size))
			bag_put(bag, &it);
		while (bag->count > fill) {
			it = bag_pick(w, bag);
			if (random_chance(w, 70) ||
				slot_post(w, &board[random_below(w, SLOTS)], &it, &it))
				item_free(&it);
		}
		/* Many pages become free at once, and the next blocks come from them. */
		if (random_chance(w, 1) && random_chance(w, 30)) {
			bag_drain(w, bag);
			if (random_chance(w, 30))
				hak_purge();
		}
	}
	bag_drain(w, bag);
}

static void work(struct worker *w)
{
	if (w->id == 0 && threads > 1) {
		purge_loop(w);
		return;
	}
	use_memory(w);
	atomic_fetch_sub_explicit(&working, 1, memory_order_relaxed);
}

static void before(void)
{
	atomic_store(&working, threads > 1 ? threads - 1 : 1);
}

static void after(void)
{
	slots_drain(board, SLOTS);
	hak_purge();
}

const struct program program = {
	.name = "stress_purge",
	.budget = 256 * MIB,
	.before = before,
	.work = work,
	.after = after,
};
