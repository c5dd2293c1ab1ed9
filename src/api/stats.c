/*
 * stats.c: see stats.h. Descriptors of other threads' pages are read with
 * relaxed loads: exact when those threads are quiet, near enough otherwise.
 */
#include "api/stats.h"

#include "base/check.h"
#include "base/os.h"
#include "policy/limit.h"
#include "segments/guard.h"
#include "segments/map.h"
#include "segments/trim.h"
#include "segments/units.h"
#include "tls/heap.h"
#include "tls/helper.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What lies in blocks of one class, in one node. */
struct usage {
	uint64_t pages, blocks, bytes, free_bytes;
};

struct walk {
	struct usage class[CLASSES];
	uint64_t cached_mid;
	uint64_t whales, whale_bytes;
};

static void add_small(struct walk *w, struct page *page)
{
	size_t bytes = load_rlx(&page->x_bytes);
	uint32_t reaped = units_blocks(page, load_rlx(&page->x_reaped)); /* free, not resident */
	uint32_t used = load_rlx(&page->x_used) - load_rlx(&page->x_pinned) - reaped;
	uint32_t carved = load_rlx(&page->x_carved);
	struct usage *u = &w->class[class_of(bytes)];
	u->pages++;
	u->blocks += used;
	u->bytes += used * bytes;
	used += page_away_blocks(page) + reaped; /* the same */
	if (carved > used)
		u->free_bytes += (carved - used) * bytes;
}

static void add_page(struct walk *w, struct page *page)
{
	uintptr_t owner = load_rlx(&page->x_owner);
	size_t bytes = load_rlx(&page->x_bytes);
	if (owner == OWNER_NOBODY || owner > OWNER_SPECIAL_MAX) {
		add_small(w, page);
	} else if (owner == OWNER_CACHED) {
		w->cached_mid += bytes;
	} else if (owner == OWNER_MID || owner == (OWNER_MID | OWNER_KEPT) || owner == OWNER_BIG ||
		   owner == (OWNER_BIG | OWNER_KEPT)) {
		struct usage *u = &w->class[class_of(bytes)];
		u->pages++;
		u->blocks++;
		u->bytes += bytes;
	}
}

static void walk_whales(struct walk *w, struct region *r)
{
	size_t committed = load_rlx(&r->x_committed);
	for (size_t g = 0; g < committed; g++) {
		struct page *page = &r->pages[g * GRANULE_SLICES];
		if ((load_rlx(&page->x_owner) & ~OWNER_KEPT) != OWNER_WHALE)
			continue;
		w->whales++;
		w->whale_bytes += load_rlx(&page->x_bytes);
	}
}

static void walk_spans(struct walk *w, struct region *r)
{
	for (size_t g = 0; g < REGION_GRANULES; g++) {
		/* All in the pool: nothing to see. */
		uint64_t pool = load_rlx(&r->x_slices[g]) & SLICES_ALL;
		if (pool == SLICES_ALL)
			continue;
		if (g >= load_rlx(&r->x_committed) && load_rlx(&r->x_limit) == REGION_GRANULES)
			break;
		for (size_t i = 0; i < GRANULE_SLICES; i++)
			if (!(pool >> i & 1))
				add_page(w, &r->pages[g * GRANULE_SLICES + i]);
	}
}

static void walk_node(struct walk *w, unsigned node)
{
	memset(w, 0, sizeof *w);
	w->whales = load_rlx(&nodes[node].x_mapped);
	w->whale_bytes = load_rlx(&nodes[node].x_mapped_bytes);
	for (unsigned kind = 0; kind < REGION_KINDS; kind++) {
		struct region *r = load_acq(&nodes[node].x_regions[kind]); /* [R1] */
		for (; r; r = load_acq(&r->x_next)) {                      /* [R1] */
			if (kind & REGION_WHALES)
				walk_whales(w, r);
			else
				walk_spans(w, r);
		}
	}
}

/* Returns the number of blocks on their way; their bytes are in s->queued. */
static uint64_t add_heaps(struct hak_stats *s)
{
	uint64_t queued_blocks = load_rlx(&orphans.x_blocks);
	unsigned count = heap_count();
	s->heaps = count;
	s->queued = load_rlx(&orphans.x_bytes);
	for (unsigned i = 0; i < count; i++) {
		struct heap *h = heap_at(i);
		if (!h)
			continue;
		s->heaps_live += load_rlx(&h->x_state) == HEAP_LIVE;
		/* Sums of all heaps: what one sent, any other may have freed. */
		s->queued += load_rlx(&h->x_sent_bytes) - load_rlx(&h->x_freed_bytes);
		queued_blocks += load_rlx(&h->x_sent_blocks) - load_rlx(&h->x_freed_blocks);
		s->held += quarantine_bytes(&h->quarantine);
		s->held_blocks += quarantine_blocks(&h->quarantine);
		for (unsigned k = 0; k < STASHES; k++) {
			s->queued += load_rlx(&h->stash[k].x_bytes);
			queued_blocks += load_rlx(&h->stash[k].x_blocks);
		}
		s->pages_released += load_rlx(&h->x_let_go);
		s->pages_taken += load_rlx(&h->x_taken);
		s->remote_batches += load_rlx(&h->x_batches);
		s->remote_blocks += load_rlx(&h->x_sent_blocks);
	}
	return queued_blocks;
}

static void add_node(struct hak_stats *s, unsigned i, const struct walk *w)
{
	struct node *n = &nodes[i];
	for (unsigned c = 0; c < CLASSES; c++) {
		s->live += w->class[c].bytes;
		s->live_blocks += w->class[c].blocks;
		s->cached += w->class[c].free_bytes;
	}
	s->cached += w->cached_mid;
	s->pooled += load_rlx(&n->x_dirty_bytes);
	s->mapped += load_rlx(&n->x_committed);
	s->reserved += load_rlx(&n->x_reserved);
	s->spans_claimed += load_rlx(&n->x_spans_claimed);
	s->spans_freed += load_rlx(&n->x_spans_freed);
	s->resident += load_rlx(&n->x_resident);
	s->fresh += load_rlx(&n->x_fresh);
	s->huge_regions += load_rlx(&n->x_huge_regions);
	s->demotions += load_rlx(&n->x_demotions);
	s->whales += w->whales;
	s->whale_bytes += w->whale_bytes;
}

void stats_fill_node(struct hak_node_stats *s, unsigned shard)
{
	struct hak_stats sum = {0};
	struct walk w;
	walk_node(&w, shard);
	add_node(&sum, shard, &w);
	s->live = sum.live + sum.whale_bytes;
	s->cached = sum.cached;
	s->pooled = sum.pooled;
	s->mapped = sum.mapped;
}

/* So long the helper may keep statistics waiting. */
#define HELPER_MS 200

static void fill(struct hak_stats *s)
{
	memset(s, 0, sizeof *s);
	for (unsigned i = 0; i < topology_nodes(); i++) {
		struct walk w;
		s->nodes += topology_os(i) >= 0;
		walk_node(&w, i);
		add_node(s, i, &w);
	}
	uint64_t queued_blocks = add_heaps(s);
	struct guard_counts guards = guard_count();
	s->live += s->whale_bytes - s->queued - s->held + guards.live_bytes;
	s->live_blocks += s->whales - queued_blocks - s->held_blocks + guards.live;
	s->resident += guard_resident();
	s->mapped += guard_resident();
	s->reserved += guards.reserved;
	s->guarded = guards.live;
	s->guarded_ever = guards.ever;
	s->guard_missed = guards.missed;
	s->metadata = load_rlx(&os_counters.x_metadata);
	s->map_calls = load_rlx(&os_counters.x_map_calls);
	s->faults = os_faults();
	s->limit_soft = limit_soft();
	s->limit_hard = limit_hard();
	s->purge_calls = load_rlx(&os_counters.x_purge_calls);
	s->purged = load_rlx(&os_counters.x_purged);
}

/* What the helper frees between two of the sums would be missing, or counted twice. */
void stats_fill(struct hak_stats *s)
{
	helper_pause(HELPER_MS);
	fill(s);
	helper_resume();
}

void hak_stats(struct hak_stats *stats, size_t bytes)
{
	struct hak_stats s;
	stats_fill(&s);
	memset(stats, 0, bytes);
	memcpy(stats, &s, min_size(bytes, sizeof s));
}

void text_append(char *text, size_t bytes, size_t *used, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	size_t at = min_size(*used, bytes);
	int n = vsnprintf(bytes ? text + at : NULL, bytes - at, format, args);
	va_end(args);
	*used += n > 0 ? (size_t)n : 0;
}

/* clang-format off */
#define FIELDS(X) \
	X(live) \
	X(live_blocks) \
	X(cached) \
	X(pooled) \
	X(queued) \
	X(mapped) \
	X(reserved) \
	X(metadata) \
	X(heaps) \
	X(heaps_live) \
	X(spans_claimed) \
	X(spans_freed) \
	X(pages_released) \
	X(pages_taken) \
	X(remote_batches) \
	X(remote_blocks) \
	X(purge_calls) \
	X(purged) \
	X(map_calls) \
	X(whales) \
	X(whale_bytes) \
	X(resident) \
	X(fresh) \
	X(faults) \
	X(huge_regions) \
	X(demotions) \
	X(limit_soft) \
	X(limit_hard) \
	X(guarded) \
	X(guarded_ever) \
	X(guard_missed) \
	X(held) \
	X(held_blocks)
/* clang-format on */

static void json_node(char *text, size_t bytes, size_t *used, unsigned i)
{
	struct walk w;
	struct hak_node_stats s;
	const char *comma = "";
	node_fill(&s, i);
	walk_node(&w, i);
	text_append(text, bytes, used,
		"%s\n    {\"node\": %ld, \"policy\": %lu, \"live\": %lu, \"cached\": %lu, "
		"\"pooled\": %lu, \"mapped\": %lu, \"resident\": %lu, \"fallback\": %lu, "
		"\"remote_sent\": %lu, \"remote_received\": %lu, \"bind_failures\": %lu, "
		"\"whales\": %lu, \"whale_bytes\": %lu, \"classes\": [",
		i ? "," : "", s.node, s.policy, s.live, s.cached, s.pooled, s.mapped, s.resident,
		s.fallback, s.remote_sent, s.remote_received, s.bind_failures, w.whales,
		w.whale_bytes);
	for (unsigned c = 0; c < CLASSES; c++) {
		const struct usage *u = &w.class[c];
		if (!u->pages)
			continue;
		text_append(text, bytes, used,
			"%s\n      {\"bytes\": %zu, \"pages\": %lu, \"blocks\": %lu, \"free\": "
			"%lu}",
			comma, class_bytes(c), u->pages, u->blocks, u->free_bytes);
		comma = ",";
	}
	text_append(text, bytes, used, "], \"policy\": [");
	policy_json(text, bytes, used, i);
	text_append(text, bytes, used, "]}");
}

int hak_stats_json(char *text, size_t bytes)
{
	struct hak_stats s;
	size_t used = 0;
	stats_fill(&s);
	text_append(text, bytes, &used, "{\n  \"version\": \"%s\"", HAK_VERSION_STRING);
#define FIELD(name) text_append(text, bytes, &used, ",\n  \"" #name "\": %lu", s.name);
	FIELDS(FIELD)
#undef FIELD
	text_append(text, bytes, &used, ",\n  \"nodes\": [");
	for (unsigned i = 0; i < topology_nodes(); i++)
		if (node_in_use(i))
			json_node(text, bytes, &used, i);
	text_append(text, bytes, &used, "],\n  \"sites\": [");
	sites_json(text, bytes, &used);
	text_append(text, bytes, &used, "],\n  \"policy\": {");
	policy_world_json(text, bytes, &used);
	text_append(text, bytes, &used, ",\n    \"classes\": [");
	policy_json(text, bytes, &used, NODES_MAX);
	text_append(text, bytes, &used, "]}\n}\n");
	return (int)used;
}

#define PRINT_BYTES 4096

void stats_print(int fd)
{
	struct hak_stats s;
	char text[PRINT_BYTES];
	size_t used = 0;
	stats_fill(&s);
#define LINE(label, format, ...)                                                                   \
	text_append(text, sizeof text, &used, "  %-34s" format "\n", label, __VA_ARGS__)
#define MB(n) ((double)(n) / (double)MIB)
	text_append(text, sizeof text, &used, "hakmem %s\n", HAK_VERSION_STRING);
	LINE("in use by the program", "%10.1f MiB in %lu blocks", MB(s.live), s.live_blocks);
	LINE("  of these, blocks of 2 MiB and more", "%8.1f MiB in %lu blocks", MB(s.whale_bytes),
		s.whales);
	LINE("free, in pages and thread caches", "%10.1f MiB in %lu heaps (%lu ever)", MB(s.cached),
		s.heaps_live, s.heaps);
	LINE("free, resident in the pools", "%10.1f MiB on %lu node(s)", MB(s.pooled), s.nodes);
	LINE("on the way to another thread", "%10.1f MiB", MB(s.queued));
	if (HAK_SECURE)
		LINE("held back from reuse", "%10.1f MiB in %lu blocks", MB(s.held), s.held_blocks);
	LINE("address space made accessible", "%10.1f MiB of %.0f MiB reserved", MB(s.mapped),
		MB(s.reserved));
	LINE("given back to the kernel", "%10.1f MiB in %lu calls", MB(s.purged), s.purge_calls);
	LINE("handed out without being resident", "%10.1f MiB, %lu page faults in all", MB(s.fresh),
		s.faults);
	LINE("regions of huge pages", "%10lu, %lu made plain again", s.huge_regions, s.demotions);
	LINE("spans taken from the pools", "%10lu, %lu given back", s.spans_claimed, s.spans_freed);
	LINE("full or left pages let go", "%10lu, %lu taken over", s.pages_released, s.pages_taken);
	LINE("blocks sent to other threads", "%10lu in %lu batches", s.remote_blocks,
		s.remote_batches);
	LINE("guarded blocks", "%10lu of %lu ever, %lu missed", s.guarded, s.guarded_ever,
		s.guard_missed);
	LINE("mmap, munmap, mremap, mprotect", "%10lu calls", s.map_calls);
	write_all(fd, text, min_size(used, sizeof text - 1));
}

void hak_stats_print(int fd)
{
	stats_print(fd);
}
