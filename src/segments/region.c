/*
 * region.c: reserves regions and commits their granules.
 *
 * A region reserves its whole window without access; a frontier (x_committed)
 * moves up through it with mprotect, so that limits on data, strict overcommit
 * and mlockall(MCL_FUTURE) see only what is used. Moving the frontier is a
 * CAS: the winner owns the granules it passed and publishes them.
 *
 *              | grow                        | search (span.c)
 *   grow       | CAS on x_committed decides  | sees granules once published
 *
 * Where the address space is limited, small chunks are taken instead once
 * regions have had their share, because what a region has not committed is lost
 * to everybody else; chunks share the descriptor of the window in which they
 * happen to lie, and big blocks get mappings of their own.
 */
#include "segments/region.h"

#include "base/os.h"
#include "numa/place.h"
#include "policy/limit.h"
#include "segments/granule.h"
#include "segments/map.h"
#include "segments/span.h"

#include <errno.h>

struct node nodes[NODES_MAX];
struct region *_Atomic region_map[REGION_MAP_ENTRIES];

#define CHUNK_BYTES_MAX (32 * GRANULE_BYTES)
#define ASK_LIMITS_BYTES (32 * MIB)
#define CHUNK_SHARE 16 /* of the address space limit */
#define REGIONS_SHARE 8

/* A demoted region is filled up to here before another is reserved: address space is finite. */
#define DEMOTED_GRANULES (REGION_GRANULES / 4)

struct region *region_window(const void *p, unsigned node)
{
	struct region *_Atomic *entry = &region_map[(uintptr_t)p >> REGION_SHIFT];
	struct region *found = load_acq(entry); /* [M1] */
	if (found)
		return found;
	struct region *r = os_map(sizeof *r);
	if (!r)
		return NULL;
	r->base = align_down((uintptr_t)p, REGION_BYTES);
	r->node = (uint8_t)node;
	if (cas_acq_rel(entry, &found, r)) /* [M1] */
		return r;
	os_unmap(r, sizeof *r);
	return found;
}

/* Called by the one thread that reserved the address space it stands for. */
static void region_list(struct region *r, unsigned kind)
{
	unsigned node = r->node;
	r->kind = (uint8_t)kind;
	struct region *first = load_rlx(&nodes[node].x_regions[kind]);
	do
		store_rlx(&r->x_next, first);
	while (!cas_weak_rel(&nodes[node].x_regions[kind], &first, r)); /* [R1] */
}

/*
 * The slices of a granule that anybody can have. In the secure build the last one of most is a
 * guard, which is nobody's (I1) for good: a static one costs nothing later, and the longest span is
 * shorter than a granule. Not in huge pages, which it would split, and not where address space is short.
 */
static uint32_t open_slices(struct region *r, size_t g)
{
	static _Atomic(uint32_t) x_guarded; /* any: relaxed; a few more than the bound do no harm */
	char *guard = (char *)r->base + (g + 1) * GRANULE_BYTES - SLICE_BYTES;
	if (!HAK_SECURE || r->kind & REGION_HUGE || load_rlx(&r->x_limit) != REGION_GRANULES ||
		load_rlx(&x_guarded) >= GUARDED_GRANULES_MAX || !os_close(guard, SLICE_BYTES))
		return (uint32_t)SLICES_ALL;
	add_rlx(&x_guarded, 1);
	return (uint32_t)(SLICES_ALL >> 1);
}

static void publish_granules(struct region *r, size_t from, size_t count)
{
	if (r->kind & REGION_WHALES) {
		add_rlx(&nodes[r->node].x_committed, count * GRANULE_BYTES);
		granules_publish(r, from, count, false);
		return;
	}
	for (size_t g = from; g < from + count; g++) {
		uint32_t slices = open_slices(r, g);
		add_rlx(&nodes[r->node].x_committed,
			(size_t)__builtin_popcount(slices) * SLICE_BYTES);
		slices_publish(r, g, slices, false);
	}
}

enum committed { COMMITTED, FULL, REFUSED };

/*
 * Moves the frontier of a region by at least `need` granules, or to its end:
 * with what is free before the frontier that may do as well.
 */
static enum committed commit(struct region *r, size_t need)
{
	uint32_t from = load_rlx(&r->x_committed), limit = load_rlx(&r->x_limit);
	size_t step;
	do {
		if (from >= limit || (from >= DEMOTED_GRANULES && load_rlx(&r->x_demoted)))
			return FULL;
		need = min_size(need, limit - from);
		step = max_size(from / COMMIT_SHARE, COMMIT_GRANULES_MIN);
		step = min_size(step, COMMIT_GRANULES_MAX);
		step = min_size(max_size(step, need), limit - from);
	} while (!cas_rlx(&r->x_committed, &from, (uint32_t)(from + step)));

	while (!os_commit((char *)r->base + from * GRANULE_BYTES, step * GRANULE_BYTES)) {
		/* What is given up here is lost if another thread moved on meanwhile: address
		 * space only. */
		size_t less = step > need ? max_size(step / 2, need) : 0;
		uint32_t expected = (uint32_t)(from + step);
		cas_rlx(&r->x_committed, &expected, (uint32_t)(from + less));
		if (!less)
			return REFUSED;
		step = less;
	}
	publish_granules(r, from, step);
	return COMMITTED;
}

static bool space_for_region(void)
{
	size_t limit = os_address_space_limit(), reserved = 0;
	if (limit == SIZE_MAX)
		return true;
	for (unsigned node = 0; node < NODES_MAX; node++)
		reserved += load_rlx(&nodes[node].x_reserved);
	return reserved + REGION_BYTES <= limit / REGIONS_SHARE;
}

/* A new region, or the one that another thread listed since `newest` was seen. */
static struct region *reserve_region(unsigned node, unsigned kind, struct region *newest)
{
	void *base = space_for_region() ? os_reserve(REGION_BYTES, REGION_BYTES) : NULL;
	if (!base)
		return NULL;
	struct region *other = load_acq(&nodes[node].x_regions[kind]); /* [R1] */
	struct region *r = other == newest ? region_window(base, node) : NULL;
	if (!r) {
		os_unmap(base, REGION_BYTES);
		return other == newest ? NULL : other;
	}
	if (kind & REGION_HUGE) {
		os_huge(base, REGION_BYTES);
		add_rlx(&nodes[node].x_huge_regions, 1);
	} else {
		os_no_huge(base, REGION_BYTES);
	}
	place_bind(base, REGION_BYTES, node);
	store_rlx(&r->x_limit, (uint32_t)REGION_GRANULES);
	add_rlx(&nodes[r->node].x_reserved, REGION_BYTES);
	region_list(r, kind);
	return r;
}

/*
 * A chunk of the size that a limited address space can bear, accessible at
 * once. Chunks are aligned to their size, so none lies in two windows.
 */
static struct region *reserve_chunk(unsigned node)
{
	size_t bytes = CHUNK_BYTES_MAX, limit = os_address_space_limit();
	while (bytes > GRANULE_BYTES && bytes > limit / CHUNK_SHARE)
		bytes /= 2;
	char *p = NULL;
	while (!p && bytes >= GRANULE_BYTES) {
		p = os_map_aligned(bytes, bytes);
		if (!p)
			bytes /= 2;
	}
	if (!p)
		return NULL;
	struct region *r = region_window(p, node);
	if (!r) {
		os_unmap(p, bytes);
		return NULL;
	}
	place_bind(p, bytes, r->node);
	/* Whoever moves x_limit from 0 lists the window; the value has no other use here. */
	uint32_t none = 0;
	if (cas_rlx(&r->x_limit, &none, 1)) {
		store_rlx(&r->x_committed, 1);
		region_list(r, REGION_SPANS);
	}
	add_rlx(&nodes[r->node].x_reserved, bytes);
	publish_granules(r, ((uintptr_t)p - r->base) / GRANULE_BYTES, bytes / GRANULE_BYTES);
	return r;
}

/* Once, in a process that grows: a small one pays nothing for looking. */
static void ask_limits(void)
{
	static _Atomic(bool) x_asked; /* any: relaxed, one thread asks */
	bool asked = false;
	if (load_rlx(&nodes[0].x_committed) >= ASK_LIMITS_BYTES && !load_rlx(&x_asked) &&
		cas_rlx(&x_asked, &asked, true))
		limit_read_group();
}

bool region_grow(unsigned node, unsigned kind, size_t granules)
{
	enum committed c;
	struct region *r;
	ask_limits();
	/* Each turn but the last means that another thread listed a region. */
	do {
		struct region *newest = load_acq(&nodes[node].x_regions[kind]); /* [R1] */
		r = newest;
		c = r ? commit(r, granules) : FULL;
		if (c == FULL && (r = reserve_region(node, kind, newest)))
			c = commit(r, granules);
	} while (c == FULL && r);
	if (!r && kind == REGION_SPANS && (r = reserve_chunk(node)))
		c = COMMITTED;
	/* The next search begins where there is room. */
	if (c == COMMITTED)
		store_rel(&nodes[node].x_hint[kind], r); /* [R1] */
	return c == COMMITTED;
}

/* Does at least a third of what is resident there serve nobody? */
static bool mostly_free(struct region *r)
{
	size_t committed = load_rlx(&r->x_committed), pool = 0, unused = 0;
	for (size_t g = 0; g < committed; g++) {
		uint64_t word = load_rlx(&r->x_slices[g]);
		pool += (size_t)__builtin_popcountl(word & SLICES_ALL);
		unused += (size_t)__builtin_popcountl(word >> SLICES_DIRTY_SHIFT);
	}
	/* Pages of one to eight slices. */
	for (size_t w = 0; w < REGION_SLICES / 64; w++)
		unused += 2 * (size_t)__builtin_popcountl(load_rlx(&r->x_untrimmed[w]));
	return unused * 2 >= committed * GRANULE_SLICES - pool;
}

bool region_may_split(struct region *r, enum split split)
{
	bool demoted = false;
	if (!(r->kind & REGION_HUGE) || load_rlx(&r->x_demoted))
		return true;
	if (split == SPLIT_NEVER || (split == SPLIT_IDLE && !mostly_free(r)))
		return false;
	if (cas_rlx(&r->x_demoted, &demoted, true)) {
		os_no_huge((void *)r->base, REGION_BYTES);
		add_rlx(&nodes[r->node].x_demotions, 1);
	}
	return true;
}

void region_bind_all(void)
{
	for (unsigned kind = 0; kind < REGION_KINDS; kind++) {
		struct region *r = load_acq(&nodes[0].x_regions[kind]); /* [R1] */
		for (; r; r = load_acq(&r->x_next))                     /* [R1+] */
			if (load_rlx(&r->x_limit) == REGION_GRANULES)
				place_bind((void *)r->base, REGION_BYTES, 0);
	}
}
