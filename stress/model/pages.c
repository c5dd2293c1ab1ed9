/*
 * pages.c: [P1] [P2] [S4]. A page is let go, taken by who frees a block of it, and by
 * who looks for one with room, at the same time. It never has two owners, who takes it
 * sees what the last owner did, and a page with room that nobody owns is always found.
 */
#include "models.h"

#include "segments/map.h"
#include "segments/page.h"
#include "segments/region.h"
#include "segments/span.h"
#include "segments/trim.h"

#define BLOCKS 4 /* in use at the start */

static struct region *region;
static struct page *pages[2];
static unsigned class;

static uintptr_t me(void)
{
	return (uintptr_t)4096 * (model_self() + 1);
}

static struct page *make_page(uintptr_t owner)
{
	bool zero;
	struct page *page = span_claim(0, REGION_SPANS, class_slices(class), 1, &zero);
	MODEL_CHECK(page, "no page");
	page->site = 0;
	page_init(page, class, owner, zero);
	for (unsigned i = 0; i < BLOCKS; i++) {
		if (list_is_empty(page))
			page_carve(page, false);
		page_pop(page);
	}
	return page;
}

static void begin(void)
{
	class = class_of(SLICE_BYTES / 16);
	region = model_region(REGION_SPANS);
	for (unsigned i = 0; i < 2; i++)
		pages[i] = make_page((uintptr_t)4096 * (i + 2));
	model_ignore(&nodes[0].x_dirty_bytes, sizeof nodes[0].x_dirty_bytes);
	model_ignore(&region->x_room, sizeof region->x_room);
}

/* Thread 1 owns the first page, thread 2 the second. */
static void both_owned(void)
{
	begin();
}

/* The summary says that there are marks, and there are none (any more). */
static void old_summary(void)
{
	begin();
	or_rlx(&region->x_partial_words[class], 1);
	add_rlx(&nodes[0].x_partial[class], 1);
}

static void first_let_go(void)
{
	begin();
	page_let_go(pages[0]);
}

static void both_let_go(void)
{
	begin();
	page_let_go(pages[0]);
	page_let_go(pages[1]);
}

/* What an owner does: plain accesses. */
static void change(struct page *page)
{
	page->let_go_tick++;
}

static void let_go(void)
{
	struct page *page = pages[model_self() - 1];
	change(page);
	page_let_go(page);
}

static void take_and_let_go(struct page *page)
{
	if (!page)
		return;
	MODEL_CHECK(page_owner(page) == me(), "a page that was taken has another owner");
	change(page);
	page_let_go(page);
}

static void scan(void)
{
	take_and_let_go(page_take_partial(0, class, me()));
}

static void scan_and_keep(void)
{
	struct page *page = page_take_partial(0, class, me());
	if (page)
		change(page);
}

/* As a free into it does. */
static void take_first(void)
{
	take_and_let_go(page_take(pages[0], me()) ? pages[0] : NULL);
}

static void take_untrimmed(void)
{
	size_t word = (size_t)(pages[0] - region->pages) / 64;
	uint64_t bits = load_rlx(&region->x_untrimmed[word]);
	struct page *page;
	while ((page = page_take_untrimmed(region, word, &bits, me())))
		take_and_let_go(page);
}

static void check_found(void)
{
	for (unsigned i = 0; i < 2; i++) {
		size_t index = (size_t)(pages[i] - region->pages);
		uint64_t bit = (uint64_t)1 << (index % 64);
		if (page_owner(pages[i]) != OWNER_NOBODY)
			continue;
		MODEL_CHECK(load_rlx(&region->x_partial[class][index / 64]) & bit,
			"a page with room is not marked");
		MODEL_CHECK(load_rlx(&region->x_partial_words[class]) >> index / 64 & 1,
			"the mark of a page with room is not marked");
		MODEL_CHECK(load_rlx(&region->x_untrimmed[index / 64]) & bit,
			"a page that may be trimmed is not marked");
	}
}

const struct scenario pages_scenarios[] = {
	{.model = "pages",
		.proves = "P1 P2* S4",
		.name = "one lets go, one takes",
		.setup = both_owned,
		.thread = {let_go, NULL, take_first},
		.check = check_found},
	{.model = "pages",
		.name = "one lets go, one looks",
		.setup = both_owned,
		.thread = {let_go, NULL, scan},
		.check = check_found},
	{.model = "pages",
		.name = "one lets go, one looks by an old summary",
		.setup = old_summary,
		.thread = {let_go, NULL, scan},
		.check = check_found},
	{.model = "pages",
		.name = "one takes and lets go, one looks",
		.setup = first_let_go,
		.thread = {NULL, NULL, take_first, scan},
		.check = check_found},
	{.model = "pages",
		.name = "one takes and lets go, one looks for pages to trim",
		.setup = first_let_go,
		.thread = {NULL, NULL, take_first, take_untrimmed},
		.check = check_found},
	{.model = "pages",
		.name = "two let go, one looks",
		.setup = both_owned,
		.thread = {let_go, let_go, scan_and_keep},
		.check = check_found},
	{.model = "pages",
		.name = "two look for two pages",
		.setup = both_let_go,
		.thread = {scan_and_keep, scan_and_keep},
		.check = check_found},
	{.model = NULL},
};
