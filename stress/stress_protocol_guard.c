/*
 * stress_protocol_guard: guarded blocks [D1] [D2]. Threads claim slots and free those of each
 * other, far more often than malloc would; and every third allocation of the public calls is
 * guarded, of blocks that are resized and passed on. No slot has two owners, blocks keep what was
 * written, a slot is not used again before others were freed, and between rounds none is lost.
 */
#include "protocol.h"

#include "base/options.h"
#include "segments/guard.h"

#include <string.h>

enum { BOARD = 64, SAMPLE = 3 };

static mark owners[GUARD_SLOTS];
static slot board[BOARD];

/* Blocks on their way to another thread, which frees them. */
static struct guarded {
	_Atomic(uintptr_t) start;
} given[BOARD];

static mark *owner_of(const void *p)
{
	return &owners[guard_index(load_acq(&x_guard_pool), (uintptr_t)p)]; /* [D2] */
}

static void drop(const struct worker *w, char *p)
{
	size_t size = guard_bytes(p, "drop");

	mark_take(owner_of(p), w, "slot", (size_t)(owner_of(p) - owners));
	for (size_t i = 0; i < size; i++)
		if (p[i] != (char)size)
			fail("a guarded block of %zu bytes was changed at %zu", size, i);
	mark_drop(owner_of(p), w, "slot", (size_t)(owner_of(p) - owners));
	guard_free(p);
}

/* Takes a slot, writes, and leaves the block to whoever comes by; or frees it. */
static void direct(struct worker *w)
{
	size_t size = random_below(w, GUARD_BYTES_MAX + 1);
	size_t align = BLOCK_ALIGN << random_below(w, 9);
	char *p = guard_alloc(size, align, random_chance(w, 50));

	if (!p)
		return;
	mark_take(owner_of(p), w, "slot", (size_t)(owner_of(p) - owners));
	if ((uintptr_t)p % align)
		fail("%p is no multiple of %zu", (void *)p, align);
	block_check_zero((unsigned char *)p, size);
	memset(p, (int)size, size);
	mark_drop(owner_of(p), w, "slot", (size_t)(owner_of(p) - owners));
	uintptr_t other = atomic_exchange_explicit(
		&given[random_below(w, BOARD)].start, (uintptr_t)p, memory_order_acq_rel);
	if (other)
		drop(w, (char *)other);
}

static void through_malloc(struct worker *w)
{
	struct item it;

	if (!item_new(w, &it, random_size(w, 0, 6000)))
		return;
	if (random_chance(w, 30) && !item_resize(w, &it, random_size(w, 1, 6000))) {
		item_free(&it);
		return;
	}
	if (slot_post(w, &board[random_below(w, BOARD)], &it, &it))
		item_free(&it);
	if (random_chance(w, 50) && slot_take(&board[random_below(w, BOARD)], &it))
		item_free(&it);
}

static void work(struct worker *w)
{
	for (size_t n = effort(2000); n > 0 && keep_going(w); n--) {
		direct(w);
		through_malloc(w);
	}
}

static void before(void)
{
	store_rlx(&options.x_guard_sample, SAMPLE);
}

static void after(void)
{
	for (unsigned i = 0; i < BOARD; i++) {
		char *p =
			(char *)atomic_exchange_explicit(&given[i].start, 0, memory_order_acquire);

		if (p)
			drop(main_worker(), p);
	}
	slots_drain(board, BOARD);
	struct guard_counts c = guard_count();
	if (c.live || guard_resident())
		fail("%llu guarded blocks and %zu bytes are left", (unsigned long long)c.live,
			guard_resident());
	if (!c.ever)
		fail("no block was guarded");
}

const struct program program = {
	.name = "stress_protocol_guard",
	.budget = 16 * MIB,
	.before = before,
	.work = work,
	.after = after,
};
