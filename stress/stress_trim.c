/*
 * stress_trim: threads leave pages of small blocks behind with few of them in
 * use, wait until the helper thread trims what nobody owns, and go on in the same
 * pages: blocks come back from the trimmed parts, others are freed meanwhile by
 * whoever has them, and some threads give all back at once. What is in use keeps
 * its contents.
 */
#include "common.h"

#include <time.h>

enum { SLOTS = 512, CLASSES_AT_ONCE = 3 };

static slot board[SLOTS];
static uint64_t purged_before;

/* The helper's ticks are 10 ms long here, and a page waits for two. */
static void wait_for_ticks(struct worker *w)
{
	struct timespec t = {.tv_nsec = 5000000 + (long)random_below(w, 40) * 1000000};

	nanosleep(&t, NULL);
}

/* A few sizes at a time, so that whole pages are of one thread's making. */
static void fill(struct worker *w, size_t count)
{
	size_t size[CLASSES_AT_ONCE];
	struct item it;

	for (unsigned i = 0; i < CLASSES_AT_ONCE; i++)
		size[i] = random_size(w, 16, random_chance(w, 20) ? 32 * KIB : 2 * KIB);
	for (; count > 0 && !bag_full(&w->bag) && keep_going(w); count--) {
		size_t bytes = size[random_below(w, CLASSES_AT_ONCE)];

		if (!(random_chance(w, 20) ? item_zeroed(w, &it, bytes) : item_new(w, &it, bytes)))
			break;
		bag_put(&w->bag, &it);
	}
}

/* Frees the oldest in runs, so that whole system pages become free, or some by chance. */
static void thin(struct worker *w)
{
	struct bag *bag = &w->bag;
	size_t kept = 0, run = 1 + random_below(w, 60);
	unsigned stay = random_chance(w, 50) ? 5 : 25;

	for (size_t i = 0; i < bag->count;) {
		bool free_them = !random_chance(w, stay);

		for (size_t end = i + 1 + random_below(w, run); i < end && i < bag->count; i++) {
			struct item it = bag->items[i];

			if (free_them)
				item_free(&it);
			else
				bag->items[kept++] = it;
		}
	}
	bag->count = kept;
}

/* Some of what survives is freed by others, some of theirs by this thread. */
static void trade(struct worker *w)
{
	for (size_t n = random_below(w, 40); n > 0 && w->bag.count > 0; n--) {
		struct item it = bag_pick(w, &w->bag);

		if (slot_post(w, &board[random_below(w, SLOTS)], &it, &it))
			item_free(&it);
		if (slot_take(&board[random_below(w, SLOTS)], &it))
			item_free(&it);
	}
}

static void *live(void *arg)
{
	struct worker *w = arg;

	for (size_t n = effort(40); n > 0 && keep_going(w); n--) {
		fill(w, 100 + random_below(w, 1500));
		thin(w);
		trade(w);
		if (random_chance(w, 40))
			wait_for_ticks(w);
		if (random_chance(w, 10))
			hak_purge();
	}
	return NULL;
}

/* Every other lane is of threads that end, and leave all their pages to nobody. */
static void work(struct worker *w)
{
	for (unsigned n = 0; n < 4 && keep_going(w); n++) {
		if (w->id % 2 == 0)
			live(w);
		else
			thread_join(thread_start(live, w));
	}
	bag_drain(w, &w->bag);
}

static uint64_t purged(void)
{
	struct hak_stats s;

	hak_stats(&s, sizeof s);
	return s.purged;
}

static void before(void)
{
	hak_option_set("heap_partial_bytes", random_chance(main_worker(), 50) ? "0" : "256K");
	purged_before = purged();
}

static void after(void)
{
	slots_drain(board, SLOTS);
	if (purged() == purged_before && workers[0].posted > 1000)
		fail("nothing was given back in a whole round");
}

const struct program program = {
	.name = "stress_trim",
	.budget = 64 * MIB,
	.before = before,
	.work = work,
	.after = after,
};
