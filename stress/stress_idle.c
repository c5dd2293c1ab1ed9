/*
 * stress_idle: owners allocate much and then never call the allocator again,
 * or end; other threads free it all. What freed memory waits for an idle owner
 * is bounded: it must be usable by the others.
 */
#include "common.h"

#include <sched.h>

enum { WINDOW = OUTBOX_ITEMS };

/*
 * All freed, each idle thread may hold back this much: a page of each class
 * that it allocates from, and what the options for caches allow.
 */
#define HELD_BACK_MOST (8 * MIB)
#define OWNED_MOST (48 * MIB)

static void *own_and_send(void *arg)
{
	struct worker *w = arg;
	size_t owned = 0;

	while (owned < OWNED_MOST / (SANITIZED ? 2 : 1) && !outbox_busy(w, WINDOW) &&
		keep_going(w)) {
		struct item it;
		/* From few to many blocks a page, and spans of their own. */
		size_t top = w->round % 3 == 0 ? 512 : w->round % 3 == 1 ? 16 * KIB : 512 * KIB;
		bool got = item_new(w, &it, random_size(w, 16, top));

		if (!got)
			break;
		owned += it.asked;
		/* Some go at once, so that the owner has free lists to leave behind. */
		if (random_chance(w, 10))
			item_free(&it);
		else
			outbox_send(w, &it);
	}
	outbox_close(w);
	return NULL;
}

/* Frees what the owners send, in bursts of scattered order, and allocates meanwhile. */
static void free_for_others(struct worker *w)
{
	unsigned open;

	do {
		struct item it;
		bool any = false;

		open = 0;
		for (unsigned i = 0; i < threads; i += 2) {
			bool ended = false;

			if (outbox_take(&workers[i], &it, &ended)) {
				any = true;
				bag_put(&w->bag, &it);
			}
			if (!ended)
				open++;
			if (w->bag.count > BAG_ITEMS / 2)
				while (w->bag.count > BAG_ITEMS / 4) {
					it = bag_pick(w, &w->bag);
					item_free(&it);
				}
		}
		if (random_chance(w, 20) && item_new(w, &it, random_size(w, 0, 8 * KIB)))
			item_free(&it);
		if (!any)
			sched_yield();
	} while (open > 0);
	bag_drain(w, &w->bag);
}

static void work(struct worker *w)
{
	if (w->id % 2 != 0) {
		free_for_others(w);
	} else if (w->round % 2 == 0) {
		own_and_send(w);
	} else {
		thread_join(thread_start(own_and_send, w));
	}
	if (threads == 1)
		free_for_others(w);
}

static void after(void)
{
	size_t most = (threads + 1) * HELD_BACK_MOST;
	struct hak_stats s;

	hak_purge();
	hak_stats(&s, sizeof s);
	if (s.cached + s.queued > most)
		fail("idle threads hold back %llu bytes in caches and %llu in queues, "
		     "more than %zu in all",
			(unsigned long long)s.cached, (unsigned long long)s.queued, most);
}

const struct program program = {
	.name = "stress_idle",
	.budget = 192 * MIB,
	.work = work,
	.after = after,
};
