/*
 * stress_reap: owners allocate in a few pages, hand the blocks to others who free
 * most of them, and rest for a few of the helper's ticks, so that what lies in their
 * inboxes is given back; then they go on in the same pages, or end. What is in use
 * keeps its contents, and all of it comes back.
 */
#include "common.h"

#include <sched.h>
#include <time.h>

enum { SIZES = 3, HELD_BACK_MOST = 8 * MIB };

/* The helper's ticks are 10 ms long here; what lies for one is given back with the next. */
static void rest(struct worker *w)
{
	struct timespec t = {.tv_nsec = 1000000 + (long)random_below(w, 60) * 1000000};

	nanosleep(&t, NULL);
}

static void make(struct worker *w, const size_t *sizes, size_t count)
{
	struct item it;

	for (; count > 0 && !outbox_busy(w, OUTBOX_ITEMS) && keep_going(w); count--) {
		if (!item_new(w, &it, sizes[random_below(w, SIZES)]))
			break;
		if (!random_chance(w, 10))
			outbox_send(w, &it);
		else if (!bag_full(&w->bag))
			bag_put(&w->bag, &it);
		else
			item_free(&it);
	}
}

static void *own(void *arg)
{
	struct worker *w = arg;

	for (size_t n = effort(40); n > 0 && keep_going(w); n--) {
		size_t sizes[SIZES];

		for (unsigned i = 0; i < SIZES; i++)
			sizes[i] = random_size(w, 16, random_chance(w, 50) ? 32 * KIB : 2 * KIB);
		for (size_t times = 1 + random_below(w, 3); times > 0; times--) {
			make(w, sizes, 10 + random_below(w, 300));
			rest(w);
		}
		while (w->bag.count > 20) {
			struct item it = bag_pick(w, &w->bag);

			item_free(&it);
		}
	}
	bag_drain(w, &w->bag);
	outbox_close(w);
	return NULL;
}

/* Takes what owners send and frees most of it; what stays is checked when it goes. */
static void free_for_others(struct worker *w)
{
	unsigned open;

	do {
		struct item it;

		open = 0;
		for (unsigned i = 0; i < threads; i += 2) {
			bool ended = false;

			while (outbox_take(&workers[i], &it, &ended)) {
				if (random_chance(w, 96) || bag_full(&w->bag))
					item_free(&it);
				else
					bag_put(&w->bag, &it);
			}
			open += !ended;
		}
		if (random_chance(w, 1))
			hak_purge();
		/* Now and then old survivors, so that more becomes whole. */
		while (w->bag.count > 100 || (w->bag.count > 0 && random_chance(w, 20))) {
			it = bag_pick(w, &w->bag);
			item_free(&it);
		}
		sched_yield();
	} while (open > 0);
	bag_drain(w, &w->bag);
}

/* Every other owner is a thread that ends, with all in its inbox that came late. */
static void work(struct worker *w)
{
	if (w->id % 2 != 0)
		free_for_others(w);
	else if (w->id % 4 == 0)
		own(w);
	else
		thread_join(thread_start(own, w));
	if (threads == 1)
		free_for_others(w);
}

/* Where nothing is in use, little is kept. */
static void after(void)
{
	struct hak_stats s;

	hak_purge();
	hak_stats(&s, sizeof s);
	if (s.cached + s.queued > (threads + 1) * HELD_BACK_MOST)
		fail("idle threads hold back %llu bytes in caches and %llu in queues",
			(unsigned long long)s.cached, (unsigned long long)s.queued);
}

const struct program program = {
	.name = "stress_reap",
	.budget = 48 * MIB,
	.work = work,
	.after = after,
};
