/*
 * slack.c: see slack.h.
 *
 *              | free
 *   purge      | x_tail [V5]: who comes second frees the span
 *
 * A thread stopped here strands the spans it has in hand, if they are freed.
 */
#include "segments/slack.h"

#include "base/os.h"
#include "segments/map.h"
#include "segments/span.h"

/* Spans that are purged together. */
#define SPANS 64

struct batch {
	size_t count;
	struct page *page[SPANS];
	struct iovec range[SPANS];
};

static size_t slack_from(const struct page *page)
{
	return align_up(load_rlx(&page->x_bytes), TRIM_BYTES);
}

void slack_begin(struct page *page)
{
	bool some = page_region(page)->kind & REGION_HUGE &&
		    slack_from(page) < page->slices * SLICE_BYTES;
	store_rel(&page->x_tail, some ? TAIL_SLACK : TAIL_NONE); /* [V5] */
}

void mid_free(struct page *page)
{
	store_rlx(&page->x_owner, OWNER_NONE);
	if (load_acq(&page->x_tail) == TAIL_NONE ||                         /* [V5] */
		xchg_acq_rel(&page->x_tail, TAIL_FREED) != TAIL_SLACK_HELD) /* [V5] */
		span_free(page);
}

/* A failure leaves memory resident, nothing else. */
static void flush(struct batch *b)
{
	if (b->count)
		os_purge_ranges(b->range, b->count);
	for (size_t i = 0; i < b->count; i++) {
		uint8_t held = TAIL_SLACK_HELD;
		if (!cas_acq_rel(&b->page[i]->x_tail, &held, TAIL_NONE)) /* [V5] */
			span_free(b->page[i]);
	}
	b->count = 0;
}

static void add(struct batch *b, struct page *page)
{
	uint8_t slack = TAIL_SLACK;
	if (load_rlx(&page->x_tail) != slack ||
		!cas_acq(&page->x_tail, &slack, TAIL_SLACK_HELD)) /* [V5] */
		return;
	size_t from = slack_from(page);
	b->page[b->count] = page;
	b->range[b->count] = (struct iovec){page->start + from, page->slices * SLICE_BYTES - from};
	if (++b->count == SPANS)
		flush(b);
}

void slack_purge(struct region *r)
{
	size_t granules = load_rlx(&r->x_committed);
	struct batch b;
	b.count = 0;
	for (size_t g = 0; g < granules; g++) {
		uint32_t taken = ~(uint32_t)load_rlx(&r->x_slices[g]);
		for (; taken; taken &= taken - 1)
			add(&b, &r->pages[g * GRANULE_SLICES + (size_t)__builtin_ctz(taken)]);
	}
	flush(&b);
}
