/*
 * span.c: claims and frees spans. One word per granule (x_slices) decides who
 * owns its slices:
 *
 *              | claim                  | free             | purge
 *   claim      | CAS, one wins          | CAS or later     | CAS, one wins
 *   free       |                        | distinct bits    | distinct bits
 *   purge      |                        |                  | CAS, one wins
 *
 * A purge is a claim, a madvise and a free: nobody else can reach the slices
 * meanwhile. All operations are lock-free; a search looks at a bounded number
 * of regions. A thread stopped here strands the span it was claiming.
 */
#include "segments/span.h"

#include "base/check.h"
#include "base/os.h"
#include "policy/choice.h"
#include "policy/clock.h"
#include "segments/map.h"
#include "segments/purge.h"
#include "segments/region.h"

#include <errno.h>
#include <limits.h>

static uint32_t span_mask(unsigned first, unsigned slices)
{
	return (uint32_t)((((uint64_t)1 << slices) - 1) << first);
}

/* Bit i is set where bits i .. i + n - 1 of `free` are. */
static uint32_t run_starts(uint32_t free, unsigned n)
{
	unsigned have = 1;
	while (have < n) {
		unsigned shift = have < n - have ? have : n - have;
		free &= free >> shift;
		have += shift;
	}
	return free;
}

/* Bits at multiples of a power of two. */
static uint32_t align_bits(unsigned align)
{
	uint32_t bits = 1;
	for (unsigned a = GRANULE_SLICES / 2; a >= align; a /= 2)
		bits |= bits << a;
	return bits;
}

struct request {
	unsigned slices;
	uint32_t starts; /* where the span may begin */
	bool dirty;      /* only resident slices */
};

static uint32_t candidates(uint64_t word, bool dirty)
{
	uint32_t pool = (uint32_t)word, resident = (uint32_t)(word >> SLICES_DIRTY_SHIFT);
	return dirty ? pool & resident : pool;
}

/* Forgets a granule that a hint names for nothing [S3]. */
static void clear_hint(
	_Atomic(uint64_t) *x_hint, _Atomic(uint64_t) *x_slices, uint64_t bit, bool dirty)
{
	and_sc(x_hint, ~bit);                     /* [S3] */
	if (candidates(load_sc(x_slices), dirty)) /* [S3] */
		or_sc(x_hint, bit);               /* [S3+] */
}

/*
 * What was claimed may be what is left of a freed big block. Only another big one
 * says that it was wanted again.
 */
static COLD void show_stamps(struct region *r, size_t index, size_t slices, size_t dirty)
{
	bool huge = r->kind & REGION_HUGE, big = slices * SLICE_BYTES >= CHOICE_BYTES;
	size_t bytes = slices * SLICE_BYTES, clean = bytes - dirty * SLICE_BYTES;
	for (size_t i = index / STAMP_SLICES; i <= (index + slices - 1) / STAMP_SLICES; i++) {
		uint32_t stamp = load_rlx(&r->x_stamps[i]);
		if (!stamp)
			continue;
		store_rlx(&r->x_stamps[i], 0);
		if (big)
			choice_reused(r->node, stamp, bytes, huge, dirty * 2 >= slices);
		big = false; /* its bytes count once */
	}
	if (slices * SLICE_BYTES >= CHOICE_BYTES &&
		choice_claimed(r->node, bytes, clean, huge, clean ? pool_in_use_all() : 0))
		choice_close(pool_in_use_all());
}

static struct page *claim_in_granule(
	struct region *r, size_t g, const struct request *q, bool *zero)
{
	uint64_t word = load_rlx(&r->x_slices[g]);
	for (;;) {
		uint32_t starts = run_starts(candidates(word, q->dirty), q->slices) & q->starts;
		if (!starts)
			return NULL;
		unsigned first = (unsigned)__builtin_ctz(starts);
		uint64_t mask = span_mask(first, q->slices);
		uint64_t both = mask | mask << SLICES_DIRTY_SHIFT;
		if (!cas_weak_acq(&r->x_slices[g], &word, word & ~both)) /* [S1] */
			continue;
		sub_rlx(&r->x_room, q->slices);
		unsigned dirty = (unsigned)__builtin_popcountl((word >> SLICES_DIRTY_SHIFT) & mask);
		*zero = !dirty && !os_purged_lazily();
		pool_claimed(r->node, dirty * SLICE_BYTES, (q->slices - dirty) * SLICE_BYTES);
		size_t index = g * GRANULE_SLICES + first;
		struct page *page = &r->pages[index];
		page->start = (char *)r->base + index * SLICE_BYTES;
		page->slices = (uint8_t)q->slices;
		page->node = r->node;
		if (unlikely(choice_learns() &&
			     (load_rlx(&r->x_stamped) || q->slices * SLICE_BYTES >= CHOICE_BYTES)))
			show_stamps(r, index, q->slices, dirty);
		return page;
	}
}

static struct page *claim_in_region(struct region *r, const struct request *q, bool *zero)
{
	_Atomic(uint64_t) *hints = q->dirty ? r->x_has_dirty : r->x_has_free;
	for (size_t w = 0; w < REGION_WORDS; w++) {
		uint64_t bits = load_rlx(&hints[w]);
		for (; bits; bits &= bits - 1) {
			size_t g = w * 64 + (size_t)__builtin_ctzl(bits);
			struct page *page = claim_in_granule(r, g, q, zero);
			if (page)
				return page;
			if (!candidates(load_rlx(&r->x_slices[g]), q->dirty))
				clear_hint(&hints[w], &r->x_slices[g], (uint64_t)1 << (g % 64),
					q->dirty);
		}
	}
	return NULL;
}

/* Where the last search ended, then the newest regions. */
static struct page *search(
	unsigned node, unsigned kind, const struct request *q, unsigned most, bool *zero)
{
	struct node *n = &nodes[node];
	struct region *hint = load_acq(&n->x_hint[kind]); /* [R1] */
	struct page *page = hint ? claim_in_region(hint, q, zero) : NULL;
	struct region *r = load_acq(&n->x_regions[kind]); /* [R1] */
	for (unsigned tries = 0; !page && r && tries < most;) {
		if (r != hint && load_rlx(&r->x_room) >= q->slices) {
			page = claim_in_region(r, q, zero);
			if (page)
				store_rel(&n->x_hint[kind], r); /* [R1+] */
			tries++;
		}
		r = load_acq(&r->x_next); /* [R1+] */
	}
	return page;
}

/* Resident slices, of either kind of region. */
static struct page *claim_dirty(unsigned node, unsigned kind, struct request *q, bool *zero)
{
	if (load_rlx(&nodes[node].x_dirty_bytes) < q->slices * SLICE_BYTES)
		return NULL;
	q->dirty = true;
	struct page *page = search(node, kind, q, SEARCH_REGIONS, zero);
	if (!page)
		page = search(node, kind ^ REGION_HUGE, q, SEARCH_REGIONS, zero);
	q->dirty = false;
	return page;
}

/* Slices that may be fresh, from regions of one kind. */
static struct page *claim_any(unsigned node, unsigned kind, struct request *q, bool *zero)
{
	struct page *page;
	/* When others take what was grown, they have made progress: once more. */
	do
		page = search(node, kind, q, SEARCH_REGIONS, zero);
	while (!page && region_grow(node, kind, 1));
	/* Everywhere, before giving up. */
	return page ? page : search(node, kind, q, UINT_MAX, zero);
}

/*
 * From the other kind, before giving up. Regions of huge pages do not grow for
 * those who did not want them: the system, or the user, may not either.
 */
static struct page *claim_other(unsigned node, unsigned kind, struct request *q, bool *zero)
{
	if (kind & REGION_HUGE)
		return claim_any(node, REGION_SPANS, q, zero);
	return search(node, REGION_HUGE, q, UINT_MAX, zero);
}

struct page *span_claim(
	unsigned node, unsigned kind, unsigned slices, unsigned align_slices, bool *zero)
{
	struct request q = {.slices = slices, .starts = align_bits(align_slices)};
	struct page *page = claim_dirty(node, kind, &q, zero);
	if (!page && pool_may_grow(slices * SLICE_BYTES)) {
		page = claim_any(node, kind, &q, zero);
		if (!page)
			page = claim_other(node, kind, &q, zero);
		if (page && pool_has_overgrown()) {
			add_rlx(&nodes[node].x_spans_claimed, 1);
			page->site = 0;
			span_free(page);
			page = NULL;
		}
	}
	if (!page) {
		errno = ENOMEM;
		return NULL;
	}
	ASSERT(load_rlx(&page->x_owner) == OWNER_NONE);
	add_rlx(&nodes[node].x_spans_claimed, 1);
	return page;
}

void slices_publish(struct region *r, size_t g, uint32_t mask, bool dirty)
{
	uint64_t word = mask, bit = (uint64_t)1 << (g % 64);
	add_rlx(&r->x_room, (uint32_t)__builtin_popcount(mask));
	if (dirty) {
		word |= word << SLICES_DIRTY_SHIFT;
		add_sc(&nodes[r->node].x_dirty_bytes,
			(uint64_t)__builtin_popcount(mask) * SLICE_BYTES); /* [T1] */
	}
	or_sc(&r->x_slices[g], word);                           /* [S1] [S2] [S3] */
	if (!(load_sc(&r->x_has_free[g / 64]) & bit))           /* [S3] */
		or_sc(&r->x_has_free[g / 64], bit);             /* [S3+] */
	if (dirty && !(load_sc(&r->x_has_dirty[g / 64]) & bit)) /* [S3] */
		or_sc(&r->x_has_dirty[g / 64], bit);            /* [S3+] */
}

/*
 * What may be resident of a granule in the pool. In huge pages that is all of
 * it, when anything is.
 */
static uint32_t purgeable(const struct region *r, uint64_t word)
{
	uint32_t pool = (uint32_t)word, dirty = pool & (uint32_t)(word >> SLICES_DIRTY_SHIFT);
	return dirty && (r->kind & REGION_HUGE) ? pool : dirty;
}

uint32_t slices_claim_dirty(struct region *r, size_t g, uint32_t among, bool whole)
{
	uint64_t word = load_rlx(&r->x_slices[g]), bit = (uint64_t)1 << (g % 64);
	uint32_t mask;
	if (!among || (whole && (uint32_t)word != SLICES_ALL))
		return 0;
	/* Cleared first: slices freed after this set it again. */
	and_sc(&r->x_has_dirty[g / 64], ~bit); /* [S3] */
	word = load_sc(&r->x_slices[g]);       /* [S3] */
	do {
		uint32_t all = purgeable(r, word);
		mask = whole && all != SLICES_ALL ? 0 : whole ? all : all & among;
		if (all & ~mask)
			or_sc(&r->x_has_dirty[g / 64], bit); /* [S3+] */
		if (!mask)
			return 0;
	} while (!cas_weak_acq(&r->x_slices[g], &word,
		word & ~(mask | (uint64_t)mask << SLICES_DIRTY_SHIFT))); /* [S2] */
	size_t all = (size_t)__builtin_popcount(mask);
	size_t dirty = (size_t)__builtin_popcount(mask & (uint32_t)(word >> SLICES_DIRTY_SHIFT));
	sub_rlx(&r->x_room, (uint32_t)all);
	pool_taken(r->node, dirty * SLICE_BYTES, (all - dirty) * SLICE_BYTES);
	return mask;
}

void span_free(struct page *page)
{
	struct region *r = page_region(page);
	size_t index = (size_t)(page - r->pages);
	unsigned first = index % GRANULE_SLICES;
	unsigned slices = page->slices;
	for (unsigned i = 0; i < slices; i++)
		store_rlx(&page[i].x_owner, OWNER_NONE);
	add_rlx(&nodes[r->node].x_spans_freed, 1);
	uint32_t mask = span_mask(first, slices);
	uint32_t stamp;
	enum site_class class = choice_of(r->node, page->site, slices * SLICE_BYTES, &stamp);
	if (stamp) {
		store_rlx(&r->x_stamped, true);
		store_rlx(&r->x_stamps[index / STAMP_SLICES], stamp);
	}
	pool_classify(r, index / GRANULE_SLICES, mask, class);
	slices_publish(r, index / GRANULE_SLICES, mask, true);
	clock_poke();
	pool_trim(r->node);
}
