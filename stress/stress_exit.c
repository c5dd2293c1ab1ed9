/*
 * stress_exit: threads that allocate and free in their last moments: in the
 * destructors of thread_local objects and in those of pthread keys, in every
 * round of them, before and after the allocator's own have run.
 */
#include "common.h"

#include <limits.h>

enum {
	BOARD = 256,
	KEYS = 6,
	/* ThreadSanitizer ends its own state of the thread in the last round. */
	KEY_ROUNDS = PTHREAD_DESTRUCTOR_ITERATIONS - TSAN,
};

/* Registers a destructor as a C++ thread_local does; in libc, in no header of C. */
extern int __cxa_thread_atexit_impl(void (*destructor)(void *), void *arg, void *dso);
extern void *__dso_handle;

struct life {
	struct worker *w;
	unsigned key_rounds[KEYS]; /* destructor calls so far, by key */
	bool quiet;                /* allocates in destructors only */
};

static slot board[BOARD];
static pthread_key_t keys[KEYS];
static __thread struct life life;

static void use_memory(struct worker *w, size_t times)
{
	struct bag *bag = &w->bag;
	struct item it;

	for (; times > 0; times--) {
		size_t top = random_chance(w, 3) ? 3 * MIB : random_chance(w, 10) ? 64 * KIB : KIB;

		if (!bag_full(bag) && item_new(w, &it, random_size(w, 0, top)))
			bag_put(bag, &it);
		if (bag->count > 0 && random_chance(w, 60)) {
			it = bag_pick(w, bag);
			if (random_chance(w, 50) ||
				slot_post(w, &board[random_below(w, BOARD)], &it, &it))
				item_free(&it);
		}
		if (slot_take(&board[random_below(w, BOARD)], &it))
			item_free(&it);
	}
}

/* The last destructor of all cannot be told from the others: each frees all it holds. */
static void on_key(void *value)
{
	size_t i = (size_t)(uintptr_t)value - 1;

	use_memory(life.w, 1 + random_below(life.w, 12));
	bag_drain(life.w, &life.w->bag);
	if (++life.key_rounds[i] < KEY_ROUNDS && pthread_setspecific(keys[i], value) != 0)
		fail("pthread_setspecific failed in a destructor");
}

static void on_thread_exit(void *arg)
{
	(void)arg;
	use_memory(life.w, random_below(life.w, 20));
}

static void *short_life(void *arg)
{
	struct worker *w = arg;

	life.w = w;
	life.quiet = random_chance(w, 30);
	for (size_t i = 0; i < KEYS; i++)
		if (random_chance(w, 70) &&
			pthread_setspecific(keys[i], (void *)(uintptr_t)(i + 1)) != 0)
			fail("pthread_setspecific failed");
	if (random_chance(w, 50) &&
		__cxa_thread_atexit_impl(on_thread_exit, NULL, &__dso_handle) != 0)
		fail("__cxa_thread_atexit_impl failed");
	if (!life.quiet)
		use_memory(w, random_below(w, 100));
	/* Half is freed by others, or after the thread's end by those who find it. */
	while (w->bag.count > 0) {
		struct item it = bag_pick(w, &w->bag);

		if (random_chance(w, 50) || slot_post(w, &board[random_below(w, BOARD)], &it, &it))
			item_free(&it);
	}
	return NULL;
}

static void work(struct worker *w)
{
	for (size_t n = effort(200); n > 0 && keep_going(w); n--) {
		thread_join(thread_start(short_life, w));
		bag_drain(w, &w->bag);
	}
}

static void make_keys(size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (pthread_key_create(&keys[i], on_key) != 0)
			fail("pthread_key_create failed");
}

/* Half of the keys are older than the allocator's, if it makes one on first use. */
static void __attribute__((constructor)) make_early_keys(void)
{
	make_keys(0, KEYS / 2);
}

static void before(void)
{
	static bool made;

	hak_free(hak_malloc(1));
	if (!made)
		make_keys(KEYS / 2, KEYS);
	made = true;
}

static void after(void)
{
	slots_drain(board, BOARD);
}

const struct program program = {
	.name = "stress_exit",
	.budget = 64 * MIB,
	.before = before,
	.work = work,
	.after = after,
};
