/*
 * stress_producer: blocks flow from threads that make them to threads that
 * free them. The rounds take turns: pairs, a chain in which each link resizes
 * or replaces the block, a ring, many makers with one that only frees, one
 * maker with many that only free.
 */
#include "common.h"

#include <sched.h>

enum shape { PAIRS, CHAIN, RING, FUNNEL, FAN, SHAPES };
enum { WINDOW = 512, LATE_FREES = 64 };

struct role {
	bool makes;
	bool forwards; /* what it takes, instead of freeing it */
	unsigned first_source;
	unsigned end_source; /* one past the last; none if equal */
};

static struct role role_of(const struct worker *w)
{
	unsigned id = w->id;
	unsigned half = threads / 2;
	struct role none = {false, false, 0, 0};

	if (threads == 1)
		return (struct role){true, false, 0, 1};
	switch ((enum shape)(w->round % SHAPES)) {
	case PAIRS:
		if (id < half)
			return (struct role){true, false, 0, 0};
		return id < 2 * half ? (struct role){false, false, id - half, id - half + 1} : none;
	case CHAIN:
		if (id == 0)
			return (struct role){true, false, 0, 0};
		return (struct role){false, id < threads - 1, id - 1, id};
	case RING:
		id = (id + threads - 1) % threads;
		return (struct role){true, false, id, id + 1};
	case FUNNEL:
		return id > 0 ? (struct role){true, false, 0, 0}
			      : (struct role){false, false, 1, threads};
	default:
		return id == 0 ? (struct role){true, false, 0, 0}
			       : (struct role){false, false, 0, 1};
	}
}

static bool make_one(struct worker *w)
{
	struct item it;
	size_t top = random_chance(w, 3) ? 512 * KIB : random_chance(w, 20) ? 16 * KIB : 512;

	if (outbox_busy(w, WINDOW) || !item_new(w, &it, random_size(w, 0, top)))
		return false;
	outbox_send(w, &it);
	return true;
}

static void pass_on(struct worker *w, struct item *it)
{
	struct item fresh;
	unsigned what = (unsigned)random_below(w, 4);

	if (what == 0 && it->asked > 0 && it->asked < 64 * KIB)
		item_resize(w, it, it->asked + random_below(w, 200) + 1);
	if (what == 1 && item_new(w, &fresh, it->asked)) {
		item_free(it);
		*it = fresh;
	}
	outbox_send(w, it);
}

/* Frees at once, or keeps some to free them in another order. */
static void dispose(struct worker *w, struct item *it)
{
	struct bag *bag = &w->bag;

	if (random_chance(w, 50)) {
		item_free(it);
		return;
	}
	bag_put(bag, it);
	if (bag->count == LATE_FREES)
		bag_drain(w, bag);
}

/* Takes one item from each source; *open is how many may still send. */
static bool take_some(struct worker *w, const struct role *role, unsigned *open)
{
	bool any = false;

	*open = 0;
	for (unsigned i = role->first_source; i < role->end_source; i++) {
		struct item it;
		bool ended = false;

		if (role->forwards && outbox_busy(w, WINDOW)) {
			++*open;
			continue;
		}
		if (outbox_take(&workers[i], &it, &ended)) {
			any = true;
			if (role->forwards)
				pass_on(w, &it);
			else
				dispose(w, &it);
		}
		if (!ended)
			++*open;
	}
	return any;
}

static void work(struct worker *w)
{
	struct role role = role_of(w);
	/* Fewer than an outbox holds, so that a link's is never full for good. */
	size_t left = role.makes ? effort(OUTBOX_ITEMS - WINDOW) : 0;
	unsigned open = 1;

	do {
		bool busy = false;

		if (left > 0 && !keep_going(w))
			left = 0;
		if (left > 0 && make_one(w)) {
			left--;
			busy = true;
		}
		if (role.makes && left == 0)
			outbox_close(w);
		busy |= take_some(w, &role, &open);
		if (!busy)
			sched_yield();
	} while (left > 0 || open > 0);
	outbox_close(w);
	bag_drain(w, &w->bag);
}

const struct program program = {
	.name = "stress_producer",
	.budget = 128 * MIB,
	.work = work,
};
