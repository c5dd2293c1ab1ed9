/*
 * heap.c: the pages of a heap: current pages, queues, and where new ones come
 * from. Only the heap's own thread runs this.
 */
#include "tls/heap.h"

#include "base/check.h"
#include "base/options.h"
#include "policy/choice.h"
#include "policy/clock.h"
#include "policy/site.h"
#include "policy/thp.h"
#include "segments/blame.h"
#include "segments/map.h"
#include "segments/page.h"
#include "segments/purge.h"
#include "segments/reap.h"
#include "segments/slack.h"
#include "segments/span.h"
#include "segments/trim.h"
#include "tls/sample.h"
#include "tls/thread.h"

#include <errno.h>

/* After this many fresh pages of a class a heap may fault in whole pages at once. */
#define GROWN_ENOUGH 16

/* Blocks that may be stashed between two slow allocations. */
#define STASH_CREDIT 256

struct page page_none = {.free = &list_end};

#define NOTHING                                                                                    \
	{                                                                                          \
		.direct = {[0 ... DIRECT_ENTRIES - 1] = &page_none},                               \
		.current = {[0 ... SMALL_CLASSES - 1] = &page_none},                               \
		.front = {[0 ... SMALL_CLASSES - 1] = &page_none},                                 \
	}
struct heap heap_none = NOTHING, heap_away = NOTHING;

void heap_enqueue(struct heap *h, struct page *page)
{
	struct page_queue *q = &h->queue[page->size_class];
	page->next = NULL;
	page->prev = q->last;
	if (q->last)
		q->last->next = page;
	else
		q->first = page;
	q->last = page;
	page->queued = true;
	h->partial_bytes += page_span_bytes(page);
}

void heap_dequeue(struct heap *h, struct page *page)
{
	struct page_queue *q = &h->queue[page->size_class];
	if (page->prev)
		page->prev->next = page->next;
	else
		q->first = page->next;
	if (page->next)
		page->next->prev = page->prev;
	else
		q->last = page->prev;
	page->next = page->prev = NULL;
	page->queued = false;
	h->partial_bytes -= page_span_bytes(page);
}

void heap_page_emptied(struct heap *h, struct page *page)
{
	CHECK(!load_rlx(&page->x_pinned),
		"more blocks were freed than are in use at %p: double free", (void *)page->start);
	if (page->queued)
		heap_dequeue(h, page);
	page_free(page);
}

void heap_let_go(struct heap *h, struct page *page)
{
	counter64_add(&h->x_let_go, 1);
	page->trimmed = false;
	page->let_go_tick = clock_ticks();
	page_let_go(page);
}

static void set_current(struct heap *h, unsigned c, struct page *page)
{
	size_t bytes = class_bytes(c);
	h->current[c] = page;
	if (unlikely(sample_takes(bytes)))
		page = &page_none;
	h->front[c] = page;
	if (bytes > DIRECT_MAX)
		return;
	size_t from = c ? class_bytes(c - 1) / BLOCK_ALIGN + 1 : 0;
	for (size_t i = from; i <= bytes / BLOCK_ALIGN; i++)
		h->direct[i] = page;
}

static void pin(struct heap *h, unsigned c, struct page *page)
{
	store_rlx(&page->x_pinned, 1);
	counter32_inc(&page->x_used);
	set_current(h, c, page);
}

/* The class has no current page afterwards; the page is the caller's. */
static struct page *unpin(struct heap *h, unsigned c, bool *empty)
{
	struct page *page = h->current[c];
	set_current(h, c, &page_none);
	store_rlx(&page->x_pinned, 0);
	*empty = counter32_dec_to_zero(&page->x_used);
	return page;
}

void heap_keep(struct page **list, struct page *page)
{
	page->prev = NULL;
	page->next = *list;
	if (*list)
		(*list)->prev = page;
	*list = page;
}

void heap_unkeep(struct page **list, struct page *page)
{
	if (page->prev)
		page->prev->next = page->next;
	else
		*list = page->next;
	if (page->next)
		page->next->prev = page->prev;
	page->next = page->prev = NULL;
}

void heap_retire_current(struct heap *h, unsigned c)
{
	bool empty;
	if (h->current[c] == &page_none)
		return;
	struct page *page = unpin(h, c, &empty);
	if (empty)
		page_free(page);
	else if (h->first_class)
		heap_keep(&h->full, page); /* so that destroy finds it */
	else
		heap_let_go(h, page);
}

/* A span for the heap; huge pages where both heap and process have proved to be large. */
static struct page *heap_claim(
	struct heap *h, unsigned node, unsigned slices, unsigned align_slices, bool *zero)
{
	bool huge = h->fresh_bytes >= HUGE_HEAP_BYTES &&
		    thp_wanted(pool_in_use(&nodes[node]), GRANULE_BYTES);
	struct page *page =
		span_claim(node, huge ? REGION_HUGE : REGION_SPANS, slices, align_slices, zero);
	if (page && *zero)
		h->fresh_bytes += slices * SLICE_BYTES;
	return page;
}

static struct page *fresh_page(struct heap *h, unsigned c)
{
	bool zero;
	struct page *page = heap_claim(h, h->node, class_slices(c), 1, &zero);
	if (!page)
		return NULL;
	page_init(page, c, (uintptr_t)h, zero);
	page->first_class = h->first_class;
	if (zero && h->grown[c] < UINT8_MAX)
		h->grown[c]++;
	return page;
}

/* Pages with room on nodes whose processors have gone: on those nodes nobody takes them. */
static COLD struct page *adopt(struct heap *h, unsigned c)
{
	uint64_t bits = topology_deserted();
	struct page *page = NULL;
	for (; bits && !page; bits &= bits - 1)
		page = page_take_partial((unsigned)__builtin_ctzl(bits), c, (uintptr_t)h);
	return page;
}

static struct page *next_page(struct heap *h, unsigned c)
{
	struct page *page = h->queue[c].first;
	if (page) {
		heap_dequeue(h, page);
		return page;
	}
	if (!h->first_class)
		page = page_take_partial(h->node, c, (uintptr_t)h);
	if (!page && !h->first_class && unlikely(topology_generation() != 0))
		page = adopt(h, c);
	if (!page) {
		/* A thread that only allocates must not hold blocks back for good. */
		quarantine_turn(h);
		return fresh_page(h, c);
	}
	counter64_add(&h->x_taken, 1);
	return page;
}

/* False: there is nothing left, or it is not to be had now. */
static bool carve(struct heap *h, unsigned c, struct page *page)
{
	if (page == &page_none || load_rlx(&page->x_carved) == page->total || !tail_try(page))
		return false;
	bool populate = page->slices == 1 && !(page_region(page)->kind & REGION_HUGE) &&
			h->grown[c] > GROWN_ENOUGH && load_rlx(&options.x_populate);
	page_carve(page, populate);
	tail_done(page);
	return true;
}

void *heap_alloc_small(struct heap *h, unsigned c, bool *zero)
{
	struct page *page = h->current[c];
	*zero = false;
	h->stash_credit = STASH_CREDIT;
	if (unlikely(h->unregistered))
		thread_register(h);
	while (list_is_empty(page)) {
		if (load_rlx(&page->x_away) || page_collect(page)) {
			page_restore(page);
			break;
		}
		if (page != &page_none)
			page_check_full(page);
		if (carve(h, c, page)) {
			*zero = page->zero &&
				class_bytes(c) >= 4096; /* one block: nothing but its link */
			break;
		}
		/* Our own blocks first; they may lie in this very page. */
		if (heap_drain(h)) {
			page = h->current[c];
			continue;
		}
		heap_retire_current(h, c);
		page = next_page(h, c);
		if (!page)
			return NULL;
		pin(h, c, page);
	}
	struct block *block = page_pop(page);
	if (unlikely(!block))
		page_blame_list(page, page->free);
	if (*zero)
		block->next = NULL;
	return block;
}

bool heap_wants_memory(const struct heap *h, unsigned c)
{
	if (c >= SMALL_CLASSES)
		return true;
	const struct page *page = h->current[c];
	if (!list_is_empty(page))
		return false;
	if (page != &page_none && load_rlx(&page->x_carved) < page->total)
		return page->zero;
	return !h->queue[c].first;
}

void heap_site(struct heap *h, struct page *page, size_t fresh)
{
	page->site = (uint8_t)site_alloc(h->caller);
	if (fresh)
		site_fresh(page->site, fresh);
}

static bool mid_fits(struct page *page, size_t align)
{
	return page && !((uintptr_t)page->start & (align - 1));
}

static void reopen_mid(struct heap *h)
{
	if (h->mid_idle)
		h->mid_room = load_rlx(&options.x_heap_cache_bytes);
	h->mid_full = h->mid_idle = false;
}

void *heap_alloc_mid(struct heap *h, unsigned c, size_t align, bool *zero)
{
	struct page *page = h->mid[c - SMALL_CLASSES];
	h->stash_credit = STASH_CREDIT;
	if (mid_fits(page, align)) {
		h->mid[c - SMALL_CLASSES] = page->next;
		h->mid_room += class_bytes(c);
		*zero = false;
	} else {
		size_t unit = max_size(align, SLICE_BYTES) / SLICE_BYTES;
		heap_drain(h);
		page = heap_claim(h, h->place, class_slices(c), (unsigned)unit, zero);
		if (!page)
			return NULL;
		reopen_mid(h);
		heap_site(h, page, *zero ? class_bytes(c) : 0);
		page->size_class = (uint8_t)c;
		page->first_class = page->queued = false;
		store_rlx(&page->x_used, 0);
		store_rlx(&page->x_pinned, 0);
		store_rlx(&page->x_bytes, class_bytes(c));
		slack_begin(page);
	}
	page->next = NULL;
	store_rlx(&page->x_owner, choice_decides(class_bytes(c)) ? OWNER_BIG : OWNER_MID);
	return page->start;
}

void heap_flush_mid(struct heap *h)
{
	for (unsigned i = 0; i < MID_CLASSES; i++) {
		struct page *page = h->mid[i];
		h->mid[i] = NULL;
		while (page) {
			struct page *next = page->next;
			mid_free(page);
			page = next;
		}
	}
	h->mid_room = load_rlx(&options.x_heap_cache_bytes);
	h->mid_idle = false;
}

static void close_mid(struct heap *h)
{
	heap_flush_mid(h);
	h->mid_room = 0;
	h->mid_idle = true;
}

void heap_overflow_mid(struct heap *h)
{
	if (h->mid_full)
		close_mid(h);
	else
		heap_flush_mid(h);
	h->mid_full = true;
}

static void flush_pages(struct heap *h)
{
	for (unsigned c = 0; c < SMALL_CLASSES; c++) {
		heap_retire_current(h, c);
		while (h->queue[c].first) {
			struct page *page = h->queue[c].first;
			heap_dequeue(h, page);
			heap_let_go(h, page);
		}
	}
}

/*
 * The thread frees without allocating, and may go idle any time: it keeps no
 * more pages, whose free blocks nobody else could give back.
 */
void heap_settle(struct heap *h)
{
	quarantine_flush(h);
	flush_pages(h);
	close_mid(h);
}

void heap_flush(struct heap *h)
{
	bool was_leaving = h->leaving;
	h->leaving = true;
	quarantine_flush(h);
	do {
		stash_flush_all(h);
		heap_flush_mid(h);
		flush_pages(h);
	} while (heap_drain(h));
	h->leaving = was_leaving;
}
