/*
 * stress_protocol_leave: heaps that leave while others send them blocks [F2].
 * A thread gets many heaps at the start of a round and puts them back one by
 * one, each after it has handed out some blocks; others keep such blocks in a
 * stash and send them at the moment when the heap leaves. None is used again in
 * the round, so that a block left in the inbox of a heap that nobody has is
 * still there when all are quiet.
 */
#include "protocol.h"

#include "segments/map.h"
#include "segments/page.h"
#include "tls/heap.h"

enum {
	HEAPS = 32, /* of each thread in a round */
	BLOCK_BYTES = 512,
	BLOCKS = 4,      /* that each heap hands out */
	BOARD = 8,       /* places where a thread is left blocks */
	WAIT_MAX = 1000, /* for somebody to leave */
	LATE_MAX = 64,   /* after that */
};

/* What is written into a block; the first word is the allocator's once it is free. */
struct note {
	struct block link;
	uint64_t seal;
};

static _Atomic(struct note *) board[THREADS_MAX][BOARD];
static _Atomic(unsigned) leaves; /* how many heaps have begun to leave */

static uint64_t seal_of(const struct note *note)
{
	return (uintptr_t)note ^ 0x5ea1ed5ea1ed5ea1u;
}

static struct note *note_new(struct worker *w, struct heap *h)
{
	bool zero;
	struct note *note = heap_alloc_small(h, class_of(BLOCK_BYTES), &zero);

	if (note == NULL)
		fail("no memory for a block");
	if (note->seal != 0)
		fail("block %p was handed out while in use", (void *)note);
	note->seal = seal_of(note);
	w->serial++;
	return note;
}

static void note_free(struct heap *h, struct note *note)
{
	if (note->seal != seal_of(note))
		fail("block %p lost its contents", (void *)note);
	note->seal = 0;
	heap_free(h, block_page(note), &note->link);
}

/* Blocks of this heap for the others; what they did not fetch is freed. */
static void hand_out(struct worker *w, struct heap *h)
{
	for (unsigned i = 0; i < BLOCKS; i++) {
		struct note *note = note_new(w, h);
		size_t to = random_below(w, threads), place = random_below(w, BOARD);

		note = atomic_exchange_explicit(&board[to][place], note, memory_order_acq_rel);
		if (note != NULL)
			note_free(h, note);
	}
}

static void fetch(struct heap *h, unsigned id)
{
	for (unsigned i = 0; i < BOARD; i++) {
		struct note *note =
			atomic_exchange_explicit(&board[id][i], NULL, memory_order_acq_rel);
		if (note != NULL)
			note_free(h, note);
	}
}

/* Until somebody is just leaving: the moment to send what is stashed. */
static void wait_for_leaver(struct worker *w)
{
	unsigned seen = load_rlx(&leaves);

	for (size_t n = random_below(w, WAIT_MAX); n > 0 && load_rlx(&leaves) == seen; n--)
		spin(1);
	spin(random_below(w, LATE_MAX));
}

static void work(struct worker *w)
{
	struct heap *mine[HEAPS];

	for (unsigned i = 0; i < HEAPS; i++)
		if ((mine[i] = heap_get(0, false)) == NULL)
			fail("no memory for a heap");
	for (unsigned i = 0; i < HEAPS; i++) {
		hand_out(w, mine[i]);
		fetch(mine[i], w->id);
		wait_for_leaver(w);
		stash_flush_all(mine[i]);
		add_rlx(&leaves, 1);
		heap_put(mine[i]);
	}
}

/* What nobody will come for. */
static void check_left_behind(void)
{
	for (unsigned i = 0; i < heap_count(); i++) {
		struct heap *h = heap_at(i);

		if (load_rlx(&h->x_state) != HEAP_FREE)
			continue;
		if (!inbox_is_empty(&h->inbox))
			fail("heap %u is free, and blocks are left in its inbox", i);
		if (h->pending != NULL)
			fail("heap %u is free, and blocks are left that it took", i);
		for (unsigned s = 0; s < STASHES; s++)
			if (h->stash[s].first != NULL)
				fail("heap %u is free, and blocks are left in its stash", i);
	}
}

static void after(void)
{
	struct heap *h;

	check_left_behind();
	h = heap_get(0, false);
	if (h == NULL)
		fail("no memory for a heap");
	for (unsigned i = 0; i < threads; i++)
		fetch(h, i);
	heap_put(h);
	check_left_behind();
}

const struct program program = {
	.name = "stress_protocol_leave",
	.alone = true,
	.budget = 64 * MIB,
	.work = work,
	.after = after,
};
