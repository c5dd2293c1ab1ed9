/*
 * stress_protocol_heaps: the stack of free heaps alone [H1]. Threads get and
 * put heaps. None may have two owners, each shows its next owner what the last
 * one wrote, none is lost, and no more are made than were in use at one time.
 */
#include "protocol.h"

#include "tls/heap.h"

enum {
	HELD = 4, /* heaps that a thread has at one time */
	HEAPS_MAX = THREADS_MAX * HELD + 64,
};

/* By index of the heap. */
static struct {
	mark holder;
	unsigned seen;       /* in which round it was found on the stack */
	uint64_t uses, not ; /* own: how often it was put, and the complement */
} records[HEAPS_MAX];

static unsigned live_before, made_before, rounds;

static unsigned count_live(void)
{
	unsigned live = 0;

	for (unsigned i = 0; i < heap_count(); i++)
		live += load_rlx(&heap_at(i)->x_state) == HEAP_LIVE;
	return live;
}

static struct heap *get(struct worker *w)
{
	struct heap *h = heap_get(0, false);

	if (h == NULL)
		fail("no memory for a heap");
	if (h->index >= HEAPS_MAX || heap_at(h->index) != h)
		fail("heap %u is out of place", h->index);
	mark_take(&records[h->index].holder, w, "heap", h->index);
	if (records[h->index].uses !=
		~records[h->index].not &&(records[h->index].uses | records[h->index].not ) != 0)
		fail("heap %u came before what its last owner wrote", h->index);
	w->serial++;
	return h;
}

static void put(struct worker *w, struct heap *h)
{
	h->slow_frees++; /* a field of the owner's, for ThreadSanitizer */
	records[h->index].uses++;
	records[h->index].not = ~records[h->index].uses;
	mark_drop(&records[h->index].holder, w, "heap", h->index);
	heap_put(h);
}

static void work(struct worker *w)
{
	struct heap *held[HELD];
	size_t count = 0;

	for (size_t n = effort(10000); n > 0 && keep_going(w); n--) {
		if (count < HELD && (count == 0 || random_chance(w, 50))) {
			held[count++] = get(w);
		} else {
			size_t i = random_below(w, count);

			put(w, held[i]);
			held[i] = held[--count];
		}
	}
	while (count > 0)
		put(w, held[--count]);
}

static void before(void)
{
	if (rounds++ == 0) {
		live_before = count_live();
		made_before = heap_count();
	}
}

static void after(void)
{
	unsigned on_stack = 0, live = count_live();
	unsigned most = made_before + threads * HELD;

	for (uint32_t next = (uint32_t)load_acq(&nodes[0].x_heaps[false]); next != 0; on_stack++) {
		struct heap *h = next <= heap_count() ? heap_at(next - 1) : NULL;

		if (h == NULL)
			fail("the stack names heap %u, %u were made", next - 1, heap_count());
		if (records[next - 1].seen == rounds)
			fail("heap %u is on the stack twice", next - 1);
		records[next - 1].seen = rounds;
		if (load_rlx(&h->x_state) != HEAP_FREE)
			fail("heap %u is on the stack and in use", next - 1);
		next = load_rlx(&h->x_next_free);
	}
	if (live != live_before)
		fail("%u heaps are in use, all were put and %u were at the start", live,
			live_before);
	if (on_stack + live != heap_count())
		fail("%u heaps are on the stack and %u in use, %u were made", on_stack, live,
			heap_count());
	if (heap_count() > most)
		fail("%u heaps were made, %u suffice", heap_count(), most);
}

const struct program program = {
	.name = "stress_protocol_heaps",
	.alone = true,
	.budget = 1 * MIB,
	.before = before,
	.work = work,
	.after = after,
};
