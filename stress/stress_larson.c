/*
 * stress_larson: threads replace blocks of an array at random, then hand the
 * whole array to a new thread and end, so that nearly every block is freed by
 * a thread that did not allocate it, and its owner is gone.
 */
#include "common.h"

#include <semaphore.h>

enum { GENERATIONS = 6, BLOCKS = 1000 };

struct lane {
	struct worker *w;
	unsigned generation;
	pthread_t before; /* the thread that started this one */
	pthread_t last;
	sem_t done;
};

static void replace_blocks(struct worker *w)
{
	struct bag *bag = &w->bag;

	for (size_t n = effort(12000); n > 0 && keep_going(w); n--) {
		struct item it;

		if (bag->count == BLOCKS) {
			it = bag_pick(w, bag);
			item_free(&it);
		}
		if (item_new(w, &it, random_size(w, 1, random_chance(w, 2) ? 64 * KIB : 1000)))
			bag_put(bag, &it);
	}
}

static void *generation_main(void *arg)
{
	struct lane *lane = arg;
	/* The one before may end while this one works, or be gone by then. */
	bool join_first = random_chance(lane->w, 50);

	if (join_first && lane->generation > 0)
		thread_join(lane->before);
	replace_blocks(lane->w);
	if (!join_first && lane->generation > 0)
		thread_join(lane->before);
	if (++lane->generation < GENERATIONS) {
		lane->before = pthread_self();
		thread_start(generation_main, lane);
	} else {
		lane->last = pthread_self();
		sem_post(&lane->done);
	}
	return NULL;
}

static void work(struct worker *w)
{
	struct lane lane = {.w = w};

	sem_init(&lane.done, 0, 0);
	thread_start(generation_main, &lane);
	while (sem_wait(&lane.done) != 0)
		;
	thread_join(lane.last);
	sem_destroy(&lane.done);
	bag_drain(w, &w->bag);
}

const struct program program = {
	.name = "stress_larson",
	.budget = 64 * MIB,
	.work = work,
};
