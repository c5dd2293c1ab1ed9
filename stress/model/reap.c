/*
 * reap.c: [V1] [V2] [V3] [V4] [V5]. Blocks of a page are in a reaper's hands, while its
 * owner goes on with it, lets it go, or others take it over. Nobody reaches memory
 * while it is given back, no page is left to nobody with blocks that are free, and
 * none is lost.
 */
#include "models.h"

#include "segments/map.h"
#include "segments/page.h"
#include "segments/reap.h"
#include "segments/region.h"
#include "segments/slack.h"
#include "segments/span.h"
#include "segments/trim.h"

#define OWNER ((uintptr_t)4096)
#define IN_HAND 2 /* blocks of each page */

static struct page *pages[2];
static struct block *blocks[2][IN_HAND];
static unsigned class;

static uintptr_t me(void)
{
	return OWNER * (model_self() + 1);
}

/* Owned, with `used` blocks in use, of which the first are in hand. */
static void make_page(unsigned number, unsigned used)
{
	bool zero;
	struct page *page = span_claim(0, REGION_SPANS, class_slices(class), 1, &zero);
	MODEL_CHECK(page, "no page");
	page->site = 0;
	page_init(page, class, OWNER, zero);
	for (unsigned i = 0; i < used; i++) {
		if (list_is_empty(page))
			page_carve(page, false);
		struct block *block = page_pop(page);
		if (i < IN_HAND)
			blocks[number][i] = block;
	}
	pages[number] = page;
}

static void begin(unsigned used)
{
	class = class_of(SLICE_BYTES / 4);
	struct region *region = model_region(REGION_SPANS);
	make_page(0, used);
	make_page(1, used);
	/* What the models of slices and pages look at. */
	model_trust(region->x_slices, sizeof *region - offsetof(struct region, x_slices));
	model_ignore(nodes[0].x_partial, sizeof nodes[0].x_partial);
	model_ignore(&nodes[0].x_dirty_bytes, sizeof nodes[0].x_dirty_bytes);
	model_ignore(&nodes[0].x_untrimmed, sizeof nodes[0].x_untrimmed);
	model_ignore(&region->x_room, sizeof region->x_room);
}

/* All that is in use of each page is in hand. */
static void all_in_hand(void)
{
	begin(IN_HAND);
}

static void one_in_use(void)
{
	begin(IN_HAND + 1);
}

static void reap(unsigned number)
{
	struct page *page = pages[number];
	if (!reap_begin())
		return;
	for (unsigned i = 0; i < IN_HAND; i++)
		reap_add(page, blocks[number][i], SPLIT_ALWAYS);
	reap_decide();
	for (unsigned i = 0; i < IN_HAND; i++)
		MODEL_CHECK(reap_takes(page, blocks[number][i]), "a unit is not complete");
	reap_purge(me());
	reap_end();
}

static void reap_first(void)
{
	reap(0);
}

static void reap_second(void)
{
	reap(1);
}

static void let_go(void)
{
	page_let_go(pages[0]);
}

/* As a free of another block does. */
static void take(void)
{
	if (page_take(pages[0], me()))
		page_let_go(pages[0]);
}

static void write_block(struct page *page)
{
	struct block *block = page_pop(page);
	block->mark = block->next ? 1 : 2;
}

/* As malloc does, when the list is empty. */
static void allocate(void)
{
	struct page *page = pages[0];
	if (page_collect(page))
		page_restore(page);
	else if (tail_try(page)) {
		page_carve(page, false);
		tail_done(page);
	} else {
		return;
	}
	write_block(page);
}

static void carve_and_let_go(void)
{
	allocate();
	let_go();
}

/* ---- Slack ---------------------------------------------------------------------- */

static struct region *huge;
static struct page *mid;

static struct page *claim(unsigned slices)
{
	bool zero;
	return span_claim(0, REGION_SPANS | REGION_HUGE, slices, 1, &zero);
}

/* A block whose span is larger, in what were huge pages; NULL: it is not to be had. */
static struct page *make_mid(void)
{
	unsigned c = class_of(SLICE_BYTES + SLICE_BYTES / 4);
	struct page *page = claim(class_slices(c));
	if (!page)
		return NULL;
	page->site = 0;
	store_rlx(&page->x_bytes, class_bytes(c));
	store_rlx(&page->x_owner, OWNER_MID);
	slack_begin(page);
	return page;
}

/* There is no more room than for that one. */
static void begin_mid(void)
{
	huge = model_region(REGION_SPANS | REGION_HUGE);
	model_fill(REGION_SPANS | REGION_HUGE, 1);
	mid = make_mid();
	MODEL_CHECK(mid && page_region(mid) == huge, "no span");
	MODEL_CHECK(claim(GRANULE_SLICES - mid->slices), "no more spans");
	model_ignore(&nodes[0].x_dirty_bytes, sizeof nodes[0].x_dirty_bytes);
	model_ignore(&huge->x_room, sizeof huge->x_room);
	model_trust(huge->x_has_free, sizeof huge->x_has_free);
	model_trust(huge->x_has_dirty, sizeof huge->x_has_dirty);
}

/* None yet. */
static void begin_without(void)
{
	begin_mid();
	mid_free(mid);
}

static void purge_slack(void)
{
	slack_purge(huge);
}

static void free_mid(void)
{
	*mid->start = 1;
	mid_free(mid);
}

/* Whoever has the slices next uses all of them. */
static void claim_all(void)
{
	struct page *page = claim(mid->slices);
	if (!page)
		return;
	for (size_t at = 0; at < page->slices * SLICE_BYTES; at += TRIM_BYTES)
		page->start[at] = 2;
}

static void have_mid(void)
{
	if (make_mid())
		*mid->start = 1;
}

static void check_freed(void)
{
	size_t index = (size_t)(mid - huge->pages);
	uint32_t pool = (uint32_t)load_rlx(&huge->x_slices[index / GRANULE_SLICES]);
	MODEL_CHECK(load_rlx(&mid->x_tail) != TAIL_SLACK_HELD, "slack is held for ever");
	MODEL_CHECK(pool >> index % GRANULE_SLICES & 1, "a span is lost");
}

static void nothing_to_check(void)
{
}

/* ---- What is left --------------------------------------------------------------- */

static void check(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct page *page = pages[i];
		if (page_owner(page) == OWNER_NONE)
			continue;
		MODEL_CHECK(load_rlx(&page->x_tail) != TAIL_HELD, "a tail is never had again");
		bool reaped = load_rlx(&page->x_reaped);
		MODEL_CHECK(!reaped || page_owner(page) != OWNER_NOBODY,
			"nobody's page has free blocks that nobody knows of");
		if (page_owner(page) == OWNER) {
			while (page_collect(page))
				;
		}
		MODEL_CHECK(load_rlx(&page->x_used) + page_away_blocks(page) <=
				    load_rlx(&page->x_carved),
			"blocks are free and in use");
	}
}

/* All of the first page was free in the end, and it was let go. */
static void check_unmade(void)
{
	check();
	MODEL_CHECK(page_owner(pages[0]) == OWNER_NONE, "a page without blocks is left");
}

const struct scenario reap_scenarios[] = {
	{.model = "reap",
		.proves = "V1 V2* V3 V4 V5",
		.name = "one reaps, the owner allocates",
		.setup = one_in_use,
		.thread = {reap_first, allocate},
		.check = check},
	{.model = "reap",
		.name = "one reaps, the owner lets go of what is empty then",
		.setup = all_in_hand,
		.thread = {reap_first, let_go},
		.check = check_unmade},
	{.model = "reap",
		.name = "one reaps, the owner lets go, one takes",
		.setup = one_in_use,
		.thread = {reap_first, let_go, take},
		.check = check},
	{.model = "reap",
		.name = "one reaps, the owner allocates and lets go",
		.setup = one_in_use,
		.thread = {reap_first, carve_and_let_go},
		.check = check},
	{.model = "reap",
		.name = "two reap",
		.setup = one_in_use,
		.thread = {reap_first, reap_second},
		.check = check},
	{.model = "reap",
		.name = "one purges slack, one frees the block",
		.setup = begin_mid,
		.thread = {purge_slack, free_mid},
		.check = check_freed},
	{.model = "reap",
		.name = "one purges slack, one frees the block, one has its span",
		.setup = begin_mid,
		.thread = {purge_slack, free_mid, claim_all},
		.check = nothing_to_check},
	{.model = "reap",
		.name = "one purges slack, one has a block",
		.setup = begin_without,
		.thread = {purge_slack, have_mid},
		.check = nothing_to_check},
	{.model = NULL},
};
