/*
 * stress_heap: first-class heaps. All threads allocate from the same heaps at
 * the same time and free each other's blocks; whoever is the last to leave a
 * heap destroys it with what is still in it, while the others work in the next.
 */
#include "common.h"

enum { HEAPS = 8, SLOTS = 64 };

struct arena {
	hak_heap *heap;
	_Atomic unsigned users;
	_Atomic size_t left; /* bytes that go with the heap */
	slot board[SLOTS];
};

static struct arena arenas[HEAPS];

static bool heap_new(struct worker *w, struct item *it, hak_heap *heap)
{
	bool zero = random_chance(w, 20);
	size_t size = random_size(w, 0, random_chance(w, 3) ? 3 * MIB : 4 * KIB);
	size_t alignment = random_chance(w, 10) ? (size_t)1 << random_below(w, 15) : 0;
	unsigned char *p;

	if (!budget_take(size))
		return false;
	p = hak_heap_alloc(heap, size, alignment, zero ? HAK_ZERO : 0);
	if (alignment != 0 && (uintptr_t)p % alignment != 0)
		fail("heap block %p is not aligned to %zu", (void *)p, alignment);
	if (p != NULL && zero)
		block_check_zero(p, size);
	item_adopt(w, it, p, size);
	return true;
}

static void use_arena(struct worker *w, struct arena *a)
{
	struct bag *bag = &w->bag;
	struct item it;

	for (size_t n = effort(3000); n > 0 && keep_going(w); n--) {
		if (heap_new(w, &it, a->heap))
			bag_put(bag, &it);
		/* A block of the thread's own between those of the heap. */
		if (random_chance(w, 10) && item_new(w, &it, random_size(w, 0, 2 * KIB)))
			item_free(&it);
		while (bag->count > 300) {
			it = bag_pick(w, bag);
			if (random_chance(w, 50) ||
				slot_post(w, &a->board[random_below(w, SLOTS)], &it, &it))
				item_free(&it);
		}
		if (slot_take(&a->board[random_below(w, SLOTS)], &it))
			item_free(&it);
	}
}

/* Some blocks are freed, the others are checked and go with the heap. */
static void leave_arena(struct worker *w, struct arena *a)
{
	while (w->bag.count > 0) {
		struct item it = bag_pick(w, &w->bag);

		item_check(&it);
		if (random_chance(w, 30))
			item_free(&it);
		else
			atomic_fetch_add_explicit(&a->left, it.asked, memory_order_relaxed);
	}
	/* Release: our use of the heap. Acquire: everybody's, before destroying it. */
	if (atomic_fetch_sub_explicit(&a->users, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < SLOTS; i++) {
		struct item it;

		if (slot_take(&a->board[i], &it)) {
			item_check(&it);
			budget_return(it.asked);
		}
	}
	hak_heap_destroy(a->heap);
	budget_return(atomic_load_explicit(&a->left, memory_order_relaxed));
	a->heap = NULL;
}

/* A heap of this thread alone, over in a moment. */
static void brief_heap(struct worker *w)
{
	hak_heap *heap = hak_heap_create();
	struct item it;
	size_t left = 0;

	if (heap == NULL)
		fail("no memory for a heap");
	for (size_t n = random_below(w, 50); n > 0; n--) {
		if (!heap_new(w, &it, heap))
			break;
		if (random_chance(w, 30))
			item_free(&it);
		else
			left += it.asked;
	}
	hak_heap_destroy(heap);
	budget_return(left);
}

static void work(struct worker *w)
{
	for (unsigned i = 0; i < HEAPS; i++) {
		use_arena(w, &arenas[i]);
		leave_arena(w, &arenas[i]);
		brief_heap(w);
	}
}

static void before(void)
{
	for (unsigned i = 0; i < HEAPS; i++) {
		arenas[i].heap = hak_heap_create();
		if (arenas[i].heap == NULL)
			fail("no memory for a heap");
		atomic_store(&arenas[i].users, threads);
		atomic_store(&arenas[i].left, 0);
	}
}

const struct program program = {
	.name = "stress_heap",
	.budget = 128 * MIB,
	.before = before,
	.work = work,
};
