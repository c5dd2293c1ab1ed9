/*
 * stress_align: every power of two up to 4 MiB as alignment, now and then
 * 1 GiB, by all calls that take one; blocks are resized and freed by any
 * thread.
 */
#include "common.h"

enum { SLOTS = 64 };

static slot board[SLOTS];

static void *aligned_some_way(struct worker *w, size_t alignment, size_t size, bool zero)
{
	void *p = NULL;

	if (zero)
		return hak_alloc(size, alignment, HAK_ZERO);
	switch (random_below(w, 3)) {
	case 0:
		return hak_aligned_alloc(alignment, size);
	case 1:
		if (alignment >= sizeof(void *))
			return hak_posix_memalign(&p, alignment, size) == 0 ? p : NULL;
		/* fall through */
	default:
		return hak_alloc(size, alignment, 0);
	}
}

static bool aligned_new(struct worker *w, struct item *it, size_t alignment, size_t size)
{
	bool zero = random_chance(w, 20);
	unsigned char *p;

	if (!budget_take(size))
		return false;
	p = aligned_some_way(w, alignment, size, zero);
	if ((uintptr_t)p % alignment != 0)
		fail("block %p of %zu bytes is not aligned to %zu", (void *)p, size, alignment);
	if (p != NULL && zero)
		block_check_zero(p, size);
	item_adopt(w, it, p, size);
	return true;
}

/* One that is freed at once, as only its maker knows the alignment. */
static void short_block(struct worker *w, size_t alignment, size_t size)
{
	struct item it;

	if (aligned_new(w, &it, alignment, size))
		hak_free_aligned_sized(item_release(&it), alignment, size);
}

static void dispose(struct worker *w, struct item *it)
{
	if (!random_chance(w, 40) || slot_post(w, &board[random_below(w, SLOTS)], it, it))
		item_free(it);
}

static void work(struct worker *w)
{
	struct bag *bag = &w->bag;
	size_t fill = 20 + random_below(w, 200);

	for (size_t n = effort(8000); n > 0 && keep_going(w); n--) {
		struct item it;
		size_t kind = random_below(w, 1000);
		size_t alignment = (size_t)1 << random_below(w, kind < 30 ? 23 : 17);
		size_t size = random_size(w, 0, kind < 100 ? 300 * KIB : 8 * KIB);

		if (kind == 999)
			alignment = GIB >> random_below(w, 8);
		if (random_chance(w, 20))
			short_block(w, alignment, size);
		else if (aligned_new(w, &it, alignment, size))
			bag_put(bag, &it);
		while (bag->count > fill) {
			it = bag_pick(w, bag);
			dispose(w, &it);
		}
		if (bag->count > 0 && random_chance(w, 10)) {
			it = bag_pick(w, bag);
			item_resize(w, &it, random_size(w, 1, 64 * KIB));
			bag_put(bag, &it);
		}
		if (slot_take(&board[random_below(w, SLOTS)], &it))
			item_free(&it);
	}
	bag_drain(w, bag);
}

static void after(void)
{
	slots_drain(board, SLOTS);
}

const struct program program = {
	.name = "stress_align",
	.budget = 128 * MIB,
	.work = work,
	.after = after,
};
