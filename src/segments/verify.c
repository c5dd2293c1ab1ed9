/*
 * verify.c: see verify.h. Walks regions and descriptors; free lists are
 * followed and counted, which needs their owners to be quiet.
 */
#include "segments/verify.h"

#include "base/check.h"
#include "segments/map.h"
#include "segments/page.h"
#include "segments/trim.h"

#define REQUIRE(cond, page)                                                                        \
	CHECK(cond, "verify: page %p (blocks of %zu): broken: %s", (void *)(page)->start,          \
		load_rlx(&(page)->x_bytes), #cond)

/* I2, I3: the free list lies in the page, has no cycle, and adds up. */
static void verify_small(struct region *r, size_t index)
{
	struct page *page = &r->pages[index];
	size_t bytes = load_rlx(&page->x_bytes);
	uint32_t used = load_rlx(&page->x_used) - load_rlx(&page->x_pinned);
	uint32_t carved = load_rlx(&page->x_carved), free = 0;
	REQUIRE(page->start == (char *)r->base + index * SLICE_BYTES, page);
	REQUIRE(bytes == class_bytes(page->size_class) && bytes <= SMALL_MAX, page);
	REQUIRE(carved <= page->total && page->total * bytes <= page_span_bytes(page), page);
	for (struct block *b = page->free; b != &list_end; b = list_next(b)) {
		size_t offset = (size_t)((char *)b - page->start);
		REQUIRE(offset < carved * bytes && offset % bytes == 0, page);
		REQUIRE(b->mark == mark_listed(page), page); /* I8 */
		REQUIRE(++free <= carved, page);
	}
	REQUIRE(used + free + page_away_blocks(page) == carved, page);
	for (unsigned i = 1; i < page->slices; i++)
		REQUIRE(page_owner(&page[i]) == OWNER_INSIDE && page[i].head == page, page);
	if (page_owner(page) == OWNER_NOBODY)
		REQUIRE(used > 0, page); /* I4 */
}

static size_t verify_granule(struct region *r, size_t g)
{
	uint64_t word = load_acq(&r->x_slices[g]); /* [S1] */
	uint32_t pool = (uint32_t)word, dirty = (uint32_t)(word >> SLICES_DIRTY_SHIFT);
	size_t pages = 0;
	CHECK((dirty & ~pool) == 0, "verify: granule %zu: dirty slices that are not in the pool",
		g);
	for (size_t i = 0; i < GRANULE_SLICES; i++) {
		struct page *page = &r->pages[g * GRANULE_SLICES + i];
		uintptr_t owner = page_owner(page);
		if (pool >> i & 1) {
			REQUIRE(owner == OWNER_NONE, page); /* I7 */
		} else if (owner == OWNER_NOBODY || owner > OWNER_SPECIAL_MAX) {
			verify_small(r, g * GRANULE_SLICES + i);
			pages++;
		}
	}
	return pages;
}

static size_t verify_list(struct region *r)
{
	size_t pages = 0;
	for (; r; r = load_acq(&r->x_next)) /* [R1] */
		for (size_t g = 0; g < REGION_GRANULES; g++)
			pages += verify_granule(r, g);
	return pages;
}

size_t verify_all(void)
{
	size_t pages = 0;
	for (unsigned node = 0; node < topology_nodes(); node++) {
		for (unsigned kind = REGION_SPANS; kind < REGION_KINDS; kind += REGION_HUGE)
			pages += verify_list(load_acq(&nodes[node].x_regions[kind])); /* [R1] */
	}
	return pages;
}
