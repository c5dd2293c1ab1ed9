/*
 * stress_protocol_inbox: inboxes alone [F1]. Every thread pushes linked batches
 * of parcels into all inboxes, half of them into the first one, and takes what
 * is in its own. No parcel may be lost, or come twice, or come before what its
 * sender wrote.
 */
#include "protocol.h"

#include "segments/inbox.h"

enum {
	PARCELS = 512, /* of each thread at the start of a round */
	BATCH_MAX = 16,
};

struct parcel {
	struct block link;
	mark holder; /* nobody while in an inbox */
	unsigned seen;
	uint64_t text, seal; /* seal = ~text */
};

static struct parcel parcels[THREADS_MAX][PARCELS];
static struct block *stock[THREADS_MAX]; /* what a thread has at hand */

/* One line each, as in a heap. */
static struct {
	_Alignas(CACHE_LINE_BYTES) struct inbox inbox;
} boxes[THREADS_MAX];

static size_t number(const struct parcel *p)
{
	return (size_t)(p - parcels[0]);
}

static void send_batch(struct worker *w)
{
	struct parcel *first = NULL, *last = NULL;
	unsigned to = random_chance(w, 50) ? 0 : (unsigned)random_below(w, threads);

	for (size_t n = 1 + random_below(w, BATCH_MAX); n > 0 && stock[w->id]; n--) {
		struct parcel *p = (struct parcel *)stock[w->id];

		stock[w->id] = p->link.next;
		p->text = random_word(w);
		p->seal = ~p->text;
		mark_drop(&p->holder, w, "parcel", number(p));
		p->link.next = first != NULL ? &first->link : NULL;
		first = p;
		if (last == NULL)
			last = p;
		w->serial++;
	}
	if (first != NULL)
		inbox_push(&boxes[to].inbox, &first->link, &last->link);
}

static void collect(struct worker *w)
{
	struct block *list = inbox_take(&boxes[w->id].inbox);

	while (list != NULL) {
		struct parcel *p = (struct parcel *)list;

		list = list->next;
		mark_take(&p->holder, w, "parcel", number(p));
		if (p->seal != ~p->text)
			fail("parcel %zu came before its contents", number(p));
		p->text = p->seal = 0;
		p->link.next = stock[w->id];
		stock[w->id] = &p->link;
	}
}

static void work(struct worker *w)
{
	for (size_t n = effort(20000); n > 0 && keep_going(w); n--) {
		if (random_chance(w, 70))
			send_batch(w);
		else
			collect(w);
	}
}

static void before(void)
{
	for (unsigned i = 0; i < threads; i++) {
		stock[i] = NULL;
		for (unsigned n = 0; n < PARCELS; n++) {
			struct parcel *p = &parcels[i][n];

			atomic_store_explicit(&p->holder, i + 1, memory_order_relaxed);
			p->seen = 0;
			p->link.next = stock[i];
			stock[i] = &p->link;
		}
	}
}

static size_t count_list(struct block *list)
{
	size_t count = 0;

	for (; list != NULL; list = list->next, count++) {
		struct parcel *p = (struct parcel *)list;

		if (p->seen++ != 0)
			fail("parcel %zu is in two places", number(p));
	}
	return count;
}

static void after(void)
{
	size_t count = 0;

	for (unsigned i = 0; i < threads; i++)
		count += count_list(inbox_take(&boxes[i].inbox)) + count_list(stock[i]);
	if (count != (size_t)threads * PARCELS)
		fail("%zu of %zu parcels are left", count, (size_t)threads * PARCELS);
}

const struct program program = {
	.name = "stress_protocol_inbox",
	.alone = true,
	.budget = 1 * MIB,
	.before = before,
	.work = work,
	.after = after,
};
