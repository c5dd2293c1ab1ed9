/*
 * idle.c: see idle.h. An inbox is taken as a whole, as its owner would, who finds it
 * empty meanwhile and goes on with other memory. What cannot be given back is sent
 * again. Whether the owner is idle shows by what it has drained: nothing between two
 * looks, though there was something to drain at both.
 */
#include "tls/idle.h"

#include "base/check.h"
#include "segments/blame.h"
#include "segments/map.h"
#include "segments/page.h"
#include "segments/reap.h"
#include "tls/heap.h"

/* Blocks in hand. */
struct hand {
	struct heap *own, *idle;
	struct block *first, *last;
	size_t blocks, gone, gone_bytes;
};

static void hold(struct hand *hand, struct block *block)
{
	block->next = hand->first;
	if (!hand->first)
		hand->last = block;
	hand->first = block;
	hand->blocks++;
}

static void let_go(struct hand *hand, struct page *page, struct block *block)
{
	block->mark = 0;
	hand->gone++;
	hand->gone_bytes += load_rlx(&page->x_bytes);
}

/* Frees what can be freed, and counts the rest. */
static void take(struct hand *hand, enum split split)
{
	struct block *list = inbox_take(&hand->idle->inbox);
	while (list) {
		struct block *block = list;
		struct page *page = block_check_sent(block);
		list = block->next;
		if (page_owner_acq(page) != (uintptr_t)hand->idle) {
			let_go(hand, page, block);
			heap_free(hand->own, page, block);
			continue;
		}
		block->mark = mark_held(page);
		reap_add(page, block, split);
		hold(hand, block);
	}
}

/* Forgets the blocks of which the reaper takes the memory; the others may be sent again. */
static void part(struct hand *hand)
{
	struct hand all = *hand;
	struct block *block = all.first;
	hand->first = hand->last = NULL;
	for (size_t i = 0; i < all.blocks; i++) {
		struct page *page = block_check_held(block);
		struct block *next = block->next;
		if (reap_takes(page, block)) {
			let_go(hand, page, block);
		} else {
			block->mark = mark_sent(page);
			hold(hand, block);
		}
		block = next;
	}
}

/* Where the list begins and how much was drained say whether anything has happened since. */
static void remember(struct heap *h, struct block *head, uint64_t drained)
{
	store_rlx(&h->x_left, head);
	store_rlx(&h->x_left_drained, drained);
}

static void reap(struct heap *h, uint64_t drained, enum split split)
{
	struct hand hand = {.own = heap_get(h->node, false), .idle = h};
	if (!hand.own)
		return;
	take(&hand, split);
	reap_decide();
	part(&hand);
	reap_purge((uintptr_t)hand.own);
	bool alone = !hand.first || heap_send(hand.own, h, hand.first, hand.last);
	remember(h, alone ? hand.first : NULL, drained);
	counter64_add(&hand.own->x_freed_blocks, hand.gone);
	counter64_add(&hand.own->x_freed_bytes, hand.gone_bytes);
	heap_put(hand.own);
}

/* Is there something in the inbox of a thread, other than what the last reaper left there? */
static bool has_news(struct heap *h, bool again)
{
	struct block *head = load_sc(&h->inbox.x_list); /* [T1] */
	return head && !h->first_class &&
	       (again || head != load_rlx(&h->x_left) ||
		       load_rlx(&h->x_freed_blocks) != load_rlx(&h->x_left_drained));
}

bool idle_waits(void)
{
	unsigned count = heap_count();
	for (unsigned i = 0; i < count; i++) {
		struct heap *h = heap_at(i);
		if (h && has_news(h, false))
			return true;
	}
	return false;
}

static void look(struct heap *h, bool aged, bool again, enum split split)
{
	uint64_t drained = load_rlx(&h->x_freed_blocks);
	if (!has_news(h, again)) {
		store_rlx(&h->x_waited, false);
		return;
	}
	bool idle = load_rlx(&h->x_waited) && load_rlx(&h->x_seen_drained) == drained;
	store_rlx(&h->x_waited, true);
	store_rlx(&h->x_seen_drained, drained);
	if ((idle || !aged) && reap_begin()) {
		reap(h, drained, split);
		reap_end();
	}
}

void idle_reap(bool aged, bool again, enum split split)
{
	unsigned count = heap_count();
	for (unsigned i = 0; i < count; i++) {
		struct heap *h = heap_at(i);
		if (h)
			look(h, aged, again, split);
	}
}
