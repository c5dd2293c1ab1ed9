/*
 * node_stats.c: statistics of one node. Where resident pages lie the kernel is
 * asked, page by page; what need not be asked is left out: memory that was
 * never made accessible, and free granules that were purged or never touched.
 */
#include "api/stats.h"
#include "base/options.h"
#include "base/os.h"
#include "numa/place.h"
#include "segments/map.h"
#include "tls/heap.h"

#include <errno.h>
#include <string.h>

#define BATCH 256

/* Pages of one shard that are waiting to be asked about. */
struct query {
	void *page[BATCH];
	size_t count;
	int node; /* where they should be, -1: anywhere */
	struct hak_node_stats *s;
};

static void ask(struct query *q)
{
	int on[BATCH];
	size_t count = q->count;
	q->count = 0;
	if (!count || !os_pages_nodes(q->page, on, count))
		return;
	for (size_t i = 0; i < count; i++) {
		if (on[i] < 0)
			continue;
		q->s->resident += os_page_bytes();
		if (q->node >= 0 && on[i] != q->node)
			q->s->fallback += os_page_bytes();
	}
}

static void ask_range(struct query *q, char *start, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += os_page_bytes()) {
		q->page[q->count++] = start + at;
		if (q->count == BATCH)
			ask(q);
	}
}

static bool may_be_resident(struct region *r, size_t g, bool whole)
{
	if (r->kind & REGION_WHALES) {
		uint64_t found = load_rlx(&r->x_slices[g / GRANULE_SLICES]);
		return !(found & ~(found >> SLICES_DIRTY_SHIFT) &
			 (uint64_t)1 << (g % GRANULE_SLICES));
	}
	uint64_t word = load_rlx(&r->x_slices[g]);
	/* In a window of chunks an empty word is memory of others. */
	return word != SLICES_ALL && (word || whole);
}

static void ask_region(struct query *q, struct region *r)
{
	bool whole = load_rlx(&r->x_limit) == REGION_GRANULES;
	size_t most = whole ? load_rlx(&r->x_committed) : REGION_GRANULES;
	for (size_t g = 0; g < min_size(most, REGION_GRANULES); g++) {
		if (!may_be_resident(r, g, whole))
			continue;
		ask_range(q, (char *)r->base + g * GRANULE_BYTES, GRANULE_BYTES);
	}
}

/* Whales with a mapping of their own begin in windows that no region fills. */
static void ask_mapped(struct query *q, unsigned shard)
{
	for (size_t w = 0; w < REGION_MAP_ENTRIES; w++) {
		struct region *r = load_acq(&region_map[w]); /* [M1] */
		if (!r || load_rlx(&r->x_limit) == REGION_GRANULES)
			continue;
		for (size_t i = 0; i < REGION_SLICES; i += GRANULE_SLICES) {
			struct page *page = &r->pages[i];
			uintptr_t kind = load_rlx(&page->x_owner) & ~OWNER_KEPT;
			if (kind == OWNER_MAPPED && page->node == shard)
				ask_range(q, page->start, load_rlx(&page->x_bytes));
		}
	}
}

static void add_heaps(struct hak_node_stats *s, unsigned shard)
{
	unsigned count = heap_count();
	for (unsigned i = 0; i < count; i++) {
		struct heap *h = heap_at(i);
		if (!h || h->node != shard)
			continue;
		s->remote_sent += load_rlx(&h->x_sent_bytes);
		s->remote_received += load_rlx(&h->x_freed_bytes);
	}
}

bool node_in_use(unsigned shard)
{
	return topology_os(shard) >= 0 ||
	       (shard < topology_nodes() && load_rlx(&nodes[shard].x_reserved) > 0);
}

void node_fill(struct hak_node_stats *s, unsigned shard)
{
	struct query q = {.node = topology_os(shard), .s = s};
	memset(s, 0, sizeof *s);
	s->node = topology_os(shard);
	s->policy = place_is_policy(shard);
	if (load_rlx(&options.x_nodes))
		q.node = -1; /* the kernel knows nothing of synthetic nodes */
	stats_fill_node(s, shard);
	add_heaps(s, shard);
	s->bind_failures = place_bind_failures(shard);
	for (unsigned kind = 0; kind < REGION_KINDS; kind++) {
		struct region *r = load_acq(&nodes[shard].x_regions[kind]); /* [R1] */
		for (; r; r = load_acq(&r->x_next))                         /* [R1] */
			ask_region(&q, r);
	}
	if (load_rlx(&nodes[shard].x_mapped))
		ask_mapped(&q, shard);
	ask(&q);
}

int hak_node_stats(unsigned index, struct hak_node_stats *stats, size_t bytes)
{
	struct hak_node_stats s;
	unsigned shard = 0;
	int saved = errno;
	for (; shard < NODES_MAX; shard++)
		if (node_in_use(shard) && index-- == 0)
			break;
	if (shard == NODES_MAX) {
		errno = EINVAL;
		return -1;
	}
	node_fill(&s, shard);
	memset(stats, 0, bytes);
	memcpy(stats, &s, min_size(bytes, sizeof s));
	errno = saved;
	return 0;
}
