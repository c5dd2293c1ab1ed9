/*
 * free.c: the slow path of free: blocks of pages that are not ours, spans,
 * whales, and what other threads sent us.
 *
 * A block that is being freed keeps its page alive (I4), so its descriptor can
 * be read; the owner found there may change at any time, and every branch is
 * correct when it does: a take-over is a CAS, and a block sent to a heap that
 * has let go of the page meanwhile is freed again by whoever receives it.
 */
#include "base/check.h"
#include "base/options.h"
#include "policy/clock.h"
#include "segments/blame.h"
#include "segments/map.h"
#include "segments/page.h"
#include "segments/slack.h"
#include "segments/whale.h"
#include "tls/alloc.h"
#include "tls/thread.h"

/* More than this in one batch saves nothing. */
#define STASH_BLOCKS_MAX 64

/* For a thread that frees without allocating. */
#define IDLE_BLOCKS_MAX 16
#define IDLE_BYTES_MAX (2 * KIB)
#define IDLE_PARTIAL_MAX (8 * SLICE_BYTES)

/* Slow frees between two looks into the own inbox. */
#define DRAIN_EVERY 64

struct orphans orphans;

static ALWAYS_INLINE void spend_credit(struct heap *h)
{
	if (unlikely(--h->stash_credit == 0) && !h->first_class)
		heap_settle(h);
}

/*
 * Keeps a page that was taken over, within the heap's bound. A thread that does
 * not allocate has no use for room in pages: it offers the ones that have the
 * most, so that those who allocate can have them.
 */
static void keep_taken(struct heap *h, struct page *page)
{
	if (h->stash_credit)
		spend_credit(h);
	size_t bytes = h->partial_bytes + page_span_bytes(page);
	if (h->leaving || page->node != h->node ||
		bytes > load_rlx(&options.x_heap_partial_bytes)) {
		heap_let_go(h, page);
		return;
	}
	heap_enqueue(h, page);
	if (!h->stash_credit && bytes > IDLE_PARTIAL_MAX) {
		struct page *oldest = h->queue[page->size_class].first;
		heap_dequeue(h, oldest);
		heap_let_go(h, oldest);
	}
}

/*
 * A page of ours that is neither current nor queued is on the list of full ones: of a
 * first-class heap, or taken over for a block that is held back.
 */
static bool is_kept_full(const struct page *page)
{
	return (HAK_SECURE || page->first_class) && !page->queued && !load_rlx(&page->x_pinned);
}

static void push_owned(struct heap *h, struct page *page, struct block *block)
{
	bool kept_full = is_kept_full(page);
	bool empty = page_push(page, block);
	if (kept_full)
		heap_unkeep(&h->full, page);
	if (empty)
		heap_page_emptied(h, page);
	else if (kept_full && page->first_class)
		heap_enqueue(h, page);
	else if (kept_full)
		keep_taken(h, page);
}

/* A wiped block comes back to a page of ours, now or after its quarantine. */
static void come_back(struct heap *h, struct page *page, struct block *block)
{
	if (!quarantine_is_on(&h->quarantine) || h->leaving)
		push_owned(h, page, block);
	else if (quarantine_put(&h->quarantine, page, block))
		quarantine_turn(h);
}

static void note_taken(struct heap *h)
{
	counter64_add(&h->x_taken, 1);
	/* What others freed of our pages makes room for this one: look soon. */
	h->slow_frees |= DRAIN_EVERY - 1;
}

/* The page was nobody's and is ours now. */
static void free_taken(struct heap *h, struct page *page, struct block *block)
{
	note_taken(h);
	if (quarantine_is_on(&h->quarantine) && !h->leaving) {
		heap_keep(&h->full, page);
		come_back(h, page, block);
	} else if (page_push(page, block))
		page_free(page);
	else
		keep_taken(h, page);
}

/* Nobody will look into that inbox: its blocks are ours to free. */
static void inherit(struct heap *h, struct heap *gone)
{
	struct block *list = inbox_take(&gone->inbox);
	while (list) {
		struct block *next = list->next;
		list->next = h->pending;
		h->pending = list;
		list = next;
	}
}

bool heap_send(struct heap *h, struct heap *to, struct block *first, struct block *last)
{
	bool alone = inbox_push(&to->inbox, first, last);
	if (unlikely(load_sc(&to->x_state) == HEAP_FREE)) /* [F2] */
		inherit(h, to);
	clock_poke(); /* [T1] */
	return alone;
}

static void stash_flush(struct heap *h, struct stash *s)
{
	struct heap *to = s->to;
	struct block *first = s->first;
	if (!first)
		return;
	counter64_add(&h->x_batches, 1);
	counter64_add(&h->x_sent_blocks, load_rlx(&s->x_blocks));
	counter64_add(&h->x_sent_bytes, load_rlx(&s->x_bytes));
	s->first = NULL;
	store_rlx(&s->x_blocks, 0);
	store_rlx(&s->x_bytes, 0);
	heap_send(h, to, first, s->last);
}

void stash_flush_all(struct heap *h)
{
	for (unsigned i = 0; i < STASHES; i++)
		stash_flush(h, &h->stash[i]);
}

/*
 * Has the stash grown enough to be sent? A thread that does not allocate may
 * never come back here, so it may hold only a little.
 */
static ALWAYS_INLINE bool stash_is_full(const struct heap *h, struct stash *s)
{
	uint64_t blocks = load_rlx(&s->x_blocks), bytes = load_rlx(&s->x_bytes);
	if (blocks >= STASH_BLOCKS_MAX || bytes >= load_rlx(&options.x_stash_bytes))
		return true;
	return !h->stash_credit && (blocks >= IDLE_BLOCKS_MAX || bytes >= IDLE_BYTES_MAX);
}

/* Nothing of the receiving heap is read: its lines are hot in another cache. */
static ALWAYS_INLINE struct stash *stash_put(
	struct heap *h, struct heap *to, struct page *page, struct block *block)
{
	size_t bytes = load_rlx(&page->x_bytes);
	struct stash *s = &h->stash[((uintptr_t)to >> HEAP_SHIFT) % STASHES];
	if (unlikely(s->to != to)) {
		stash_flush(h, s);
		s->to = to;
	}
	block->next = s->first;
	block->mark = mark_sent(page);
	if (!s->first)
		s->last = block;
	s->first = block;
	counter64_add(&s->x_bytes, bytes);
	counter64_add(&s->x_blocks, 1);
	return s;
}

static void send(
	struct heap *h, struct heap *to, struct page *page, struct block *block, bool at_once)
{
	struct stash *s = stash_put(h, to, page, block);
	if (at_once || h->leaving || stash_is_full(h, s))
		stash_flush(h, s);
	if (h->stash_credit)
		spend_credit(h);
}

/* To the pool. */
static void free_span(struct heap *h, struct page *page)
{
	mid_free(page);
	if (h->stash_credit)
		spend_credit(h);
}

static void free_big(struct heap *h, struct page *page)
{
	secure_wipe_mid(page);
	free_span(h, page);
}

void heap_free_mid(struct heap *h, struct page *page)
{
	size_t bytes = load_rlx(&page->x_bytes);
	secure_wipe_mid(page);
	if (bytes > h->mid_room && !h->mid_idle)
		heap_overflow_mid(h);
	if (h->leaving || page->node != h->node || bytes > h->mid_room) {
		free_span(h, page);
		return;
	}
	struct page **stack = &h->mid[page->size_class - SMALL_CLASSES];
	store_rlx(&page->x_owner, OWNER_CACHED);
	page->next = *stack;
	*stack = page;
	h->mid_room -= bytes;
}

static void free_small(struct heap *h, struct page *page, struct block *block, uintptr_t owner)
{
	page_check_start(page, block);
	secure_wipe(page, block);
	for (;;) {
		if (owner == (uintptr_t)h) {
			page_check_used(page, block, true, "free");
			come_back(h, page, block);
			return;
		}
		if (owner != OWNER_NOBODY) {
			struct heap *to = (struct heap *)owner;
			bool first_class = page->first_class;
			send(h, to, page, block, first_class);
			if (first_class)
				lease_drain(to);
			return;
		}
		if (page_take(page, (uintptr_t)h)) {
			page_check_used(page, block, true, "free");
			free_taken(h, page, block);
			return;
		}
		owner = page_owner_acq(page);
	}
}

/* No heap's cache can have it. */
static void free_mid_alone(struct page *page)
{
	secure_wipe_mid(page);
	mid_free(page);
}

void heap_free_kept(struct heap *h, struct page *page)
{
	heap_unkeep(&h->kept, page);
	page->keeper = NULL;
	uintptr_t kind = page_owner(page) & ~OWNER_KEPT;
	store_rlx(&page->x_owner, kind);
	if (kind == OWNER_MID || kind == OWNER_BIG)
		free_mid_alone(page);
	else
		whale_free(page);
}

/* A mid block or whale of a first-class heap. */
static void free_kept(struct heap *h, struct page *page, struct block *block)
{
	struct heap *keeper = page->keeper;
	if (keeper == h) {
		heap_free_kept(h, page);
		return;
	}
	CHECK(block->mark != mark_sent(page),
		"free(%p): double free: the block is on its way to its heap", (void *)block);
	send(h, keeper, page, block, true);
	lease_drain(keeper);
}

void heap_free(struct heap *h, struct page *page, struct block *block)
{
	uintptr_t owner = page_owner_acq(page);
	if (owner == OWNER_INSIDE) {
		page = page->head;
		owner = page_owner_acq(page);
	}
	if (owner == OWNER_NOBODY || owner > OWNER_SPECIAL_MAX) {
		free_small(h, page, block, owner);
		return;
	}
	CHECK(owner != OWNER_NONE && owner != OWNER_CACHED,
		"free(%p): no block is in use there (double free, or not a pointer from malloc)",
		(void *)block);
	CHECK((char *)block == page->start, "free(%p): not the start of the block at %p",
		(void *)block, (void *)page->start);
	if (owner & OWNER_KEPT)
		free_kept(h, page, block);
	else if (owner == OWNER_MID)
		heap_free_mid(h, page);
	else if (owner == OWNER_BIG)
		free_big(h, page);
	else
		whale_free(page);
}

/* Sent to some heap that exists: whoever uses it next finds the block. */
static void orphan(struct heap *to, struct page *page, struct block *block)
{
	add_rlx(&orphans.x_blocks, 1);
	add_rlx(&orphans.x_bytes, load_rlx(&page->x_bytes));
	block->mark = mark_sent(page);
	inbox_push(&to->inbox, block, block);
	clock_poke(); /* [T1] */
}

void heap_free_held(struct heap *h, struct page *page, struct block *block)
{
	uintptr_t owner = page_owner_acq(page);
	while (owner == OWNER_NOBODY) {
		if (page_take(page, (uintptr_t)h)) {
			note_taken(h);
			heap_keep(&h->full, page);
		}
		owner = page_owner_acq(page);
	}
	if (owner == (uintptr_t)h)
		push_owned(h, page, block);
	else
		send(h, (struct heap *)owner, page, block, false);
}

void free_without_heap(struct page *page, struct block *block)
{
	uintptr_t owner = page_owner_acq(page);
	if (owner == OWNER_INSIDE) {
		page = page->head;
		owner = page_owner_acq(page);
	}
	if (owner == OWNER_NOBODY || owner > OWNER_SPECIAL_MAX) {
		page_check_start(page, block);
		secure_wipe(page, block);
	}
	if (owner > OWNER_SPECIAL_MAX)
		orphan((struct heap *)owner, page, block);
	else if (owner == OWNER_NOBODY)
		orphan(heap_at(0), page, block);
	else if (owner == OWNER_MID || owner == OWNER_BIG)
		free_mid_alone(page);
	else if (owner == OWNER_WHALE || owner == OWNER_MAPPED)
		whale_free(page);
	else if (owner & OWNER_KEPT)
		orphan(page->keeper, page, block);
	else
		blame("free(%p): no block is in use there", (void *)block);
}

/* Others may be freeing into pages of ours, and we may never allocate again. */
static ALWAYS_INLINE void drain_now_and_then(struct heap *h)
{
	if (unlikely(h->pending || ++h->slow_frees % DRAIN_EVERY == 0))
		heap_drain(h);
}

void heap_free_slow(struct heap *h, struct page *page, struct block *block)
{
	heap_free(h, page, block);
	drain_now_and_then(h);
}

void free_other(void *p, struct page *page, uintptr_t owner)
{
	struct heap *h = heap_take();
	if (unlikely(owner <= OWNER_SPECIAL_MAX || h != tls_home || page->first_class)) {
		heap_give(h);
		free_slow(p);
		return;
	}
	page_check_start(page, p);
	secure_wipe(page, p);
	send(h, (struct heap *)owner, page, p, false);
	drain_now_and_then(h);
	heap_give(h);
}

bool heap_drain(struct heap *h)
{
	if (!h->pending) {
		if (inbox_is_empty(&h->inbox))
			return false;
		h->pending = inbox_take(&h->inbox);
	}
	size_t bytes = 0, blocks = 0;
	for (; h->pending && blocks < DRAIN_BLOCKS_MAX; blocks++) {
		struct block *block = h->pending;
		struct page *page = block_check_sent(block);
		h->pending = block->next;
		block->mark = 0;
		bytes += load_rlx(&page->x_bytes);
		if (likely(page_owner(page) == (uintptr_t)h)) {
			page_check_used(page, block, true, "free");
			come_back(h, page, block);
		} else {
			heap_free(h, page, block);
		}
	}
	counter64_add(&h->x_freed_blocks, blocks);
	counter64_add(&h->x_freed_bytes, bytes);
	return true;
}

bool heap_drain_all(struct heap *h)
{
	while (heap_drain(h))
		;
	return true;
}
