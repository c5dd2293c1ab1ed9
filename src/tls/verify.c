/*
 * verify.c: see verify.h. What a heap has is its thread's alone, so a thread
 * can look at its own heap at any time; at others' and at what is on its way
 * to them only while they are quiet.
 */
#include "tls/verify.h"

#include "base/check.h"
#include "base/options.h"
#include "segments/guard.h"
#include "segments/map.h"
#include "segments/page.h"
#include "segments/verify.h"
#include "tls/thread.h"

#define REQUIRE(cond, h)                                                                           \
	CHECK(cond, "verify: heap %u of node %u: broken: %s", (h)->index, (h)->node, #cond)

/* What the heaps add up to. */
struct found {
	size_t owned, cached; /* as in struct verified */
	uint64_t queued;      /* blocks in inboxes, or taken from one and not yet freed */
	uint64_t sent, freed;
};

static void verify_current(struct heap *h, unsigned c, struct found *f)
{
	struct page *page = h->current[c];
	size_t from = c ? class_bytes(c - 1) / BLOCK_ALIGN + 1 : 0;
	REQUIRE(h->front[c] == page || h->front[c] == &page_none, h);
	for (size_t i = from; i <= class_bytes(c) / BLOCK_ALIGN && i < DIRECT_ENTRIES; i++)
		REQUIRE(h->direct[i] == h->front[c], h);
	if (page == &page_none)
		return;
	REQUIRE(page_owner(page) == (uintptr_t)h && page->size_class == c, h);
	REQUIRE(load_rlx(&page->x_pinned) == 1, h);
	verify_page(page);
	f->owned++;
}

static size_t verify_queue(struct heap *h, unsigned c, struct found *f)
{
	struct page *before = NULL;
	size_t bytes = 0;
	for (struct page *page = h->queue[c].first; page; page = page->next) {
		REQUIRE(page_owner(page) == (uintptr_t)h && page->size_class == c, h);
		REQUIRE(page->queued && page->prev == before, h);
		verify_page(page);
		bytes += page_span_bytes(page);
		before = page;
		f->owned++;
	}
	REQUIRE(h->queue[c].last == before, h);
	return bytes;
}

static void verify_mids(struct heap *h, struct found *f)
{
	for (unsigned i = 0; i < MID_CLASSES; i++)
		for (struct page *page = h->mid[i]; page; page = page->next) {
			REQUIRE(page_owner(page) == OWNER_CACHED, h);
			REQUIRE(page->size_class == SMALL_CLASSES + i && page->node == h->node, h);
			f->cached++;
		}
}

/* A block on its way is in use as far as its page knows (I3), and marked (I8). */
static uint64_t verify_sent(struct heap *h, struct block *list, uint64_t *bytes)
{
	uint64_t blocks = 0;
	for (; list; list = list->next) {
		struct region *r = map_region(list);
		REQUIRE(r && page_owner(map_slice(r, list)) != OWNER_NONE, h);
		struct page *page = block_page(list);
		size_t offset = (size_t)((char *)list - page->start);
		REQUIRE(page_owner(page) != OWNER_CACHED && list->mark == mark_sent(page), h);
		REQUIRE(offset % load_rlx(&page->x_bytes) == 0, h);
		blocks++;
		*bytes += load_rlx(&page->x_bytes);
	}
	return blocks;
}

static void verify_stashes(struct heap *h)
{
	for (unsigned i = 0; i < STASHES; i++) {
		struct stash *s = &h->stash[i];
		uint64_t bytes = 0, blocks = verify_sent(h, s->first, &bytes);
		REQUIRE(blocks == load_rlx(&s->x_blocks) && bytes == load_rlx(&s->x_bytes), h);
	}
}

/* What is held back counts as used, and nobody has written to it. */
static void verify_quarantine(struct heap *h)
{
	struct quarantine *q = &h->quarantine;
	for (uint32_t i = 0; i < quarantine_blocks(q); i++) {
		struct block *block = quarantine_block(q, i);
		REQUIRE(map_region(block), h);
		struct page *page = block_page(block);
		REQUIRE(page_owner(page) == OWNER_NOBODY || page_owner(page) > OWNER_SPECIAL_MAX,
			h);
		page_check_held(page, block);
	}
	REQUIRE(!h->first_class || !quarantine_is_on(q), h);
}

/* Of a first-class heap, by which it is destroyed; or of pages that wait for blocks held back. */
static void verify_kept(struct heap *h, struct found *f)
{
	for (struct page *page = h->full; page; page = page->next) {
		REQUIRE(page_owner(page) == (uintptr_t)h && (HAK_SECURE || page->first_class), h);
		REQUIRE(!page->queued && !load_rlx(&page->x_pinned), h);
		f->owned++;
	}
	for (struct page *page = h->kept; page; page = page->next)
		REQUIRE(page_owner(page) & OWNER_KEPT && page_owner(page) <= OWNER_SPECIAL_MAX &&
				page->keeper == h,
			h);
}

static void verify_heap(struct heap *h, struct found *f)
{
	size_t partial = 0;
	for (unsigned c = 0; c < SMALL_CLASSES; c++) {
		verify_current(h, c, f);
		partial += verify_queue(h, c, f);
	}
	REQUIRE(partial == h->partial_bytes, h);
	REQUIRE(h->first_class || (!h->full && !h->kept) || quarantine_blocks(&h->quarantine), h);
	verify_quarantine(h);
	verify_mids(h, f);
	verify_stashes(h);
	verify_kept(h, f);
}

/* Whoever ended has left nothing behind. */
static void verify_free(struct heap *h)
{
	for (unsigned c = 0; c < SMALL_CLASSES; c++)
		REQUIRE(h->current[c] == &page_none, h);
	REQUIRE(!quarantine_blocks(&h->quarantine), h);
	REQUIRE(!h->partial_bytes && !h->pending && !h->full && !h->kept, h);
}

static void verify_heaps(struct found *f)
{
	unsigned count = heap_count();
	for (unsigned i = 0; i < count; i++) {
		struct heap *h = heap_at(i);
		uint64_t bytes = 0;
		if (!h)
			continue;
		verify_heap(h, f);
		if (load_rlx(&h->x_state) == HEAP_FREE)
			verify_free(h);
		f->queued += verify_sent(h, load_acq(&h->inbox.x_list), &bytes); /* [F1] */
		f->queued += verify_sent(h, h->pending, &bytes);
		f->sent += load_rlx(&h->x_sent_blocks);
		f->freed += load_rlx(&h->x_freed_blocks);
	}
}

size_t verify_all(void)
{
	struct verified v = verify_regions();
	guard_verify();
	struct found f = {.sent = load_rlx(&orphans.x_blocks)};
	/* In a forked child the heaps of other threads are as they were in the middle of a call. */
	if (verify_cut_off()) {
		if (tls_home)
			verify_heap(tls_home, &f);
		return v.pages;
	}
	verify_heaps(&f);
	CHECK(f.owned == v.owned && f.cached == v.cached,
		"verify: %zu pages are owned by heaps and %zu blocks cached, heaps know of %zu and "
		"%zu",
		v.owned, v.cached, f.owned, f.cached);
	CHECK(f.queued == f.sent - f.freed,
		"verify: %lu blocks are on their way to heaps, %lu were sent and not freed",
		f.queued, f.sent - f.freed);
	return v.pages;
}

void verify_now_and_then(struct heap *h)
{
	static _Thread_local uint32_t calls;
	struct found unused = {0};
	if (++calls % load_rlx(&options.x_verify) == 0 && h == tls_home)
		verify_heap(h, &unused);
}
