/*
 * models.c: what the models share: a node with one region and a few spans.
 */
#include "models.h"

#include "segments/map.h"
#include "segments/page.h"
#include "segments/region.h"

/* Statistics, which no scenario looks at. */
void model_ignore_statistics(void)
{
	struct node *n = &nodes[0];
	model_ignore(&n->x_fresh, sizeof n->x_fresh);
	model_ignore(&n->x_resident, sizeof n->x_resident);
	model_ignore(&n->x_dirty_low, sizeof n->x_dirty_low);
	model_ignore(&n->x_spans_claimed, sizeof n->x_spans_claimed);
	model_ignore(&n->x_spans_freed, sizeof n->x_spans_freed);
	model_ignore(&n->x_committed, sizeof n->x_committed);
	model_ignore(&n->x_reserved, sizeof n->x_reserved);
}

struct region *model_region(unsigned kind)
{
	if (!region_grow(0, kind, 2))
		model_fail("no region");
	model_ignore_statistics();
	return load_rlx(&nodes[0].x_regions[kind]);
}

void model_fill(unsigned kind, unsigned granules)
{
	struct region *r = load_rlx(&nodes[0].x_regions[kind]);
	if (kind & REGION_WHALES) {
		for (size_t word = 0; word < REGION_WORDS_WHALES; word++)
			store_rlx(&r->x_slices[word], word ? 0 : (1u << granules) - 1);
	} else {
		for (size_t g = granules; g < load_rlx(&r->x_committed); g++)
			store_rlx(&r->x_slices[g], 0);
	}
	store_rlx(&r->x_committed, granules);
	store_rlx(&r->x_limit, granules);
	model_refuse_memory(true);
}
