/*
 * helper.c: [T1] and [T2]. The helper thread goes to sleep while others make memory
 * idle: it never sleeps for good while there is some. And it touches nothing while
 * somebody has paused it.
 */
#include "models.h"

#include "policy/clock.h"
#include "segments/granule.h"
#include "segments/map.h"
#include "segments/page.h"
#include "segments/purge.h"
#include "segments/span.h"
#include "tls/heap.h"
#include "tls/helper.h"
#include "tls/idle.h"

#define CLASS class_of(SLICE_BYTES / 4)

static struct region *region;
static struct page *span, *page;
static void *(*helper)(void *);

static int keep_function(
	pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *unused)
{
	(void)thread;
	(void)attributes;
	(void)unused;
	helper = start;
	return 0;
}

/* A span and a page are in use, and the helper has just been started. */
static void begin(void)
{
	bool zero;
	region = model_region(REGION_SPANS);
	struct heap *spare = heap_get(0, false);
	span = span_claim(0, REGION_SPANS, 1, 1, &zero);
	span->site = 0;
	page = span_claim(0, REGION_SPANS, class_slices(CLASS), 1, &zero);
	MODEL_CHECK(page && spare, "no memory");
	page_init(page, CLASS, (uintptr_t)spare, zero);
	page_carve(page, false);
	page->free = page->free->next;
	counter32_inc(&page->x_used);
	heap_put(spare);
	helper_start(keep_function);
	MODEL_CHECK(helper, "no helper");
	/* What the models of slices, pages and heaps look at. */
	model_ignore(region->x_slices, sizeof *region - offsetof(struct region, x_slices));
	model_ignore(nodes[0].x_heaps, sizeof nodes[0].x_heaps);
	model_ignore(nodes[0].x_partial, sizeof nodes[0].x_partial);
}

static void run_helper(void)
{
	helper(NULL);
}

static void free_span(void)
{
	span_free(span);
}

static char *granule;

static void begin_with_granule(void)
{
	bool zero;
	begin();
	struct region *r = model_region(REGION_WHALES);
	granule = granules_claim(0, REGION_WHALES, 1, 1, &zero);
	MODEL_CHECK(granule, "no granule");
	model_ignore(r->x_slices, sizeof *r - offsetof(struct region, x_slices));
}

static void free_granule(void)
{
	granules_free(granule, 1, true, SITE_HOT);
}

static void let_go(void)
{
	page_let_go(page);
}

/* Two heaps, and a block of the page, which is the first one's. */
static struct heap *sender, *receiver;
static struct block *sent;

static void begin_with_block(void)
{
	begin();
	receiver = heap_get(0, false);
	sender = heap_get(0, false);
	store_rlx(&page->x_owner, (uintptr_t)receiver);
	sent = (struct block *)page->start;
	sent->mark = mark_sent(page);
}

static void send_block(void)
{
	heap_send(sender, receiver, sent, sent);
}

static void check_awake(void)
{
	MODEL_CHECK(
		load_rlx(&clock_now.x_state) != CLOCK_ASLEEP || !(pool_is_idle(0) || idle_waits()),
		"the helper sleeps, and memory is idle");
}

/* As a statistics call does that looks at everything. */
static void pause_and_look(void)
{
	unsigned count = 0;
	helper_pause(UINT32_MAX);
	for (struct block *block = page->free; block; block = block->next)
		count++;
	MODEL_CHECK(count <= page->total, "more blocks than there are");
	helper_resume();
}

/* Ownerless for so long that it is to be trimmed now. */
static void page_is_due(void)
{
	begin();
	page->let_go_tick = (uint8_t)(clock_ticks() - 2);
	page_let_go(page);
}

const struct scenario helper_scenarios[] = {
	{.model = "clock",
		.proves = "T1*",
		.name = "a span is freed",
		.setup = begin,
		.thread = {run_helper, free_span},
		.helper = 1,
		.check = check_awake},
	{.model = "clock",
		.name = "a granule is freed",
		.setup = begin_with_granule,
		.thread = {run_helper, free_granule},
		.helper = 1,
		.check = check_awake},
	{.model = "clock",
		.name = "a page is let go",
		.setup = begin,
		.thread = {run_helper, let_go},
		.helper = 1,
		.check = check_awake},
	{.model = "clock",
		.name = "a block is sent to a heap",
		.setup = begin_with_block,
		.thread = {run_helper, send_block},
		.helper = 1,
		.check = check_awake},
	{.model = "clock",
		.name = "a span is freed and a page let go, and a tick comes",
		.setup = begin,
		.thread = {run_helper, free_span, let_go},
		.helper = 1,
		.timers = 1,
		.check = check_awake},
	{.model = "pause",
		.proves = "T2*",
		.name = "one pauses the helper",
		.setup = page_is_due,
		.thread = {run_helper, pause_and_look},
		.helper = 1},
	{.model = "pause",
		.name = "two pause the helper, and a tick comes",
		.setup = page_is_due,
		.thread = {run_helper, pause_and_look, pause_and_look},
		.timers = 1,
		.helper = 1},
	{.model = NULL},
};
