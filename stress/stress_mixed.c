/*
 * stress_mixed: blocks of 0 bytes to 4 MiB, allocated with malloc and calloc,
 * resized, and freed by their owner or, for 0, 50 or 90 percent of them in
 * turn, by another thread.
 */
#include "common.h"

enum { SLOTS = 32 };

static slot mailbox[THREADS_MAX][SLOTS];

static size_t mixed_size(struct worker *w)
{
	size_t kind = random_below(w, 1000);

	return random_size(w, 0, kind < 5 ? 4 * MIB : kind < 50 ? 256 * KIB : 2 * KIB);
}

/* Sized when it can be: the call must then name what was asked for. */
static void free_some_way(struct worker *w, struct item *it)
{
	size_t asked = it->asked;
	void *p = item_release(it);

	if (random_chance(w, 25))
		hak_free_sized(p, asked);
	else
		hak_free(p);
}

static void dispose(struct worker *w, struct item *it, unsigned remote)
{
	unsigned to = (unsigned)random_below(w, threads);

	if (!random_chance(w, remote) || slot_post(w, &mailbox[to][random_below(w, SLOTS)], it, it))
		free_some_way(w, it);
}

static void work(struct worker *w)
{
	static const unsigned remote_percent[] = {0, 50, 90};
	unsigned remote = remote_percent[w->round % 3];
	struct bag *bag = &w->bag;
	size_t fill = 100 + random_below(w, 1500);

	for (size_t n = effort(40000); n > 0 && keep_going(w); n--) {
		struct item it;
		bool got = random_chance(w, 80) ? item_new(w, &it, mixed_size(w))
						: item_zeroed(w, &it, mixed_size(w));

		if (got)
			bag_put(bag, &it);
		while (bag->count > fill || (!got && bag->count > 0)) {
			got = true;
			it = bag_pick(w, bag);
			dispose(w, &it, remote);
		}
		if (bag->count > 0 && random_chance(w, 5)) {
			it = bag_pick(w, bag);
			item_resize(w, &it, mixed_size(w) + 1);
			bag_put(bag, &it);
		}
		if (slot_take(&mailbox[w->id][random_below(w, SLOTS)], &it))
			free_some_way(w, &it);
	}
	bag_drain(w, bag);
}

static void after(void)
{
	for (unsigned i = 0; i < threads; i++)
		slots_drain(mailbox[i], SLOTS);
}

const struct program program = {
	.name = "stress_mixed",
	.budget = 256 * MIB,
	.work = work,
	.after = after,
};
