/*
 * slices.c: [S1] [S2] [S3]. Slices of one granule are freed, claimed and purged at the
 * same time. No slice has two owners, nobody reaches memory while the kernel takes it
 * back, and no free slice is left without its hints.
 */
#include "models.h"

#include "segments/map.h"
#include "segments/purge.h"
#include "segments/region.h"
#include "segments/span.h"

static struct region *region;
static struct page *held[2];

static struct page *claim(unsigned slices)
{
	bool zero;
	return span_claim(0, REGION_SPANS, slices, 1, &zero);
}

static void use(struct page *page)
{
	*(uint64_t *)page->start = model_self() + 1;
}

/* Of the only granule two slices are held, and no others are left but `rest`. */
static void begin(unsigned rest)
{
	region = model_region(REGION_SPANS);
	model_fill(REGION_SPANS, 1);
	/* They only say where it is worth to look. */
	model_ignore(&region->x_room, sizeof region->x_room);
	model_ignore(&nodes[0].x_dirty_bytes, sizeof nodes[0].x_dirty_bytes);
	struct page *all = claim(GRANULE_SLICES);
	MODEL_CHECK(all, "the granule cannot be claimed");
	all->slices = (uint8_t)(rest + 2);
	all->site = 0;
	span_free(all);
	for (unsigned i = 0; i < 2; i++) {
		held[i] = claim(1);
		held[i]->site = 0;
		use(held[i]);
	}
	pool_purge(0, SIZE_MAX, SPLIT_ALWAYS);
}

static void none_left(void)
{
	begin(0);
}

static void one_left(void)
{
	begin(1);
}

/* Of which the memory is resident, and has its hint. */
static void one_dirty(void)
{
	begin(1);
	struct page *page = claim(1);
	page->site = 0;
	span_free(page);
}

/* Which has been claimed again: the hint is of nothing. */
static void stale_hint(void)
{
	one_dirty();
	claim(1);
}

static void free_first(void)
{
	use(held[0]);
	span_free(held[0]);
}

static void free_second(void)
{
	use(held[1]);
	span_free(held[1]);
}

static void claim_one(void)
{
	struct page *page = claim(1);
	if (page)
		use(page);
}

static void claim_and_free(void)
{
	struct page *page = claim(1);
	if (!page)
		return;
	use(page);
	page->site = 0;
	span_free(page);
}

static void claim_two(void)
{
	struct page *page = claim(2);
	if (page)
		use(page);
}

static void purge(void)
{
	pool_purge(0, SIZE_MAX, SPLIT_ALWAYS);
}

static void check_hints(void)
{
	for (size_t g = 0; g < load_rlx(&region->x_committed); g++) {
		uint64_t word = load_rlx(&region->x_slices[g]);
		bool has_free = load_rlx(&region->x_has_free[g / 64]) >> (g % 64) & 1;
		bool has_dirty = load_rlx(&region->x_has_dirty[g / 64]) >> (g % 64) & 1;
		MODEL_CHECK(has_free || !(uint32_t)word, "free slices have no hint");
		MODEL_CHECK(
			has_dirty || !(word >> SLICES_DIRTY_SHIFT), "dirty slices have no hint");
	}
}

const struct scenario slices_scenarios[] = {
	{.model = "slices",
		.proves = "S1 S2 S3*",
		.name = "one frees, one claims",
		.setup = none_left,
		.thread = {free_first, claim_one},
		.check = check_hints},
	{.model = "slices",
		.name = "one frees, one purges",
		.setup = none_left,
		.thread = {free_first, purge},
		.check = check_hints},
	{.model = "slices",
		.name = "two free, one claims both",
		.setup = none_left,
		.thread = {free_first, free_second, claim_two},
		.check = check_hints},
	{.model = "slices",
		.name = "two purge what one frees",
		.setup = none_left,
		.thread = {free_first, purge, purge},
		.check = check_hints},
	{.model = "slices",
		.name = "one frees, one claims, one purges",
		.setup = none_left,
		.thread = {free_first, claim_one, purge},
		.check = check_hints},
	{.model = "slices",
		.name = "one frees beside a slice that is purged",
		.setup = one_dirty,
		.thread = {free_first, purge},
		.check = check_hints},
	{.model = "slices",
		.name = "one frees, one purges by an old hint",
		.setup = stale_hint,
		.thread = {free_first, purge},
		.check = check_hints},
	{.model = "slices",
		.name = "two free, one purges",
		.setup = none_left,
		.thread = {free_first, free_second, purge},
		.check = check_hints},
	{.model = "slices",
		.name = "two want the last one",
		.setup = one_left,
		.thread = {claim_and_free, claim_one, purge},
		.check = check_hints},
	{.model = NULL},
};
