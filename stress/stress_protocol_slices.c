/*
 * stress_protocol_slices: the pool of slices alone [S1] [S2]. Threads claim and
 * free spans of 1 to 32 slices and purge meanwhile, one of them often. No slice
 * may have two owners, a span that is said to be zero is zero, what its owner
 * wrote stays until the free, and when all are quiet every slice is accounted
 * for and a hint leads to each that is free.
 */
#include "protocol.h"

#include "segments/map.h"
#include "segments/purge.h"
#include "segments/span.h"

enum {
	HELD = 24, /* spans of one thread */
	REGIONS = 16,
	OS_PAGE = 4096,
	USED_PAGES = 4, /* at the start of each slice: purging knows whole slices only */
	TOUCHED = 3,    /* words of a slice that are written */
};

struct held {
	struct page *page;
	uint64_t tag;
};

struct bundle {
	size_t count;
	struct held held[HELD];
};

static mark owners[REGIONS][REGION_SLICES];
static struct region *_Atomic regions[REGIONS];

/* In every other round memory is left alone, so that threads meet in the words more often. */
static bool touches(const struct worker *w)
{
	return w->round % 2 == 1;
}

static mark *owner_of(const struct page *page)
{
	struct region *r = page_region(page);

	for (unsigned i = 0; i < REGIONS; i++) {
		struct region *seen = NULL;

		atomic_compare_exchange_strong_explicit(
			&regions[i], &seen, r, memory_order_relaxed, memory_order_relaxed);
		if (seen == NULL || seen == r)
			return &owners[i][page - r->pages];
	}
	fail("more than %d regions for so little memory", REGIONS);
}

/* The word that the owner of `tag` writes into a page of its span: at one end or the other. */
static uint64_t *word_at(const struct held *s, size_t slice, unsigned n)
{
	uint64_t x = (s->tag + slice * TOUCHED + n) * 0x9e3779b97f4a7c15u;
	char *page = s->page->start + slice * SLICE_BYTES + (x >> 32) % USED_PAGES * OS_PAGE;

	return (uint64_t *)(x >> 63 ? page : page + OS_PAGE - sizeof x);
}

static void check_zero(const struct page *page, size_t slices)
{
	for (size_t n = 0; n < slices * USED_PAGES; n++) {
		const char *p =
			page->start + n / USED_PAGES * SLICE_BYTES + n % USED_PAGES * OS_PAGE;
		const uint64_t *low = (const uint64_t *)p, *high = low + OS_PAGE / sizeof *low - 1;

		if ((*low | *high) != 0)
			fail("slice of %p is said to be zero and is not", (const void *)p);
	}
}

static void check_place(const struct page *page, unsigned slices, unsigned align)
{
	struct region *r = map_region(page->start);
	size_t index = r ? (size_t)(page - r->pages) : REGION_SLICES;

	if (index >= REGION_SLICES || page->slices != slices || index % align != 0 ||
		index % GRANULE_SLICES + slices > GRANULE_SLICES ||
		page->start != (char *)r->base + index * SLICE_BYTES)
		fail("%u slices aligned to %u came as %u slices at %p", slices, align, page->slices,
			(void *)page->start);
}

/* Plain writes to memory and descriptors: ThreadSanitizer checks their order. */
static void claim(struct worker *w, struct held *s)
{
	unsigned slices = random_chance(w, 60) ? 1 : 1 + (unsigned)random_below(w, 8);
	unsigned align = random_chance(w, 80) ? 1 : 1u << random_below(w, 6);
	bool zero;

	if (random_chance(w, 10))
		slices = 1 + (unsigned)random_below(w, GRANULE_SLICES);
	s->page = span_claim(0, REGION_SPANS, slices, align, &zero);
	if (s->page == NULL)
		fail("no memory for %u slices", slices);
	s->tag = (uint64_t)w->id << 40 | w->serial++;
	check_place(s->page, slices, align);
	size_t first = (size_t)(s->page - page_region(s->page)->pages);
	for (unsigned i = 0; i < slices; i++) {
		mark_take(owner_of(s->page) + i, w, "slice", first + i);
		if (load_rlx(&s->page[i].x_owner) != OWNER_NONE)
			fail("slice at %p was claimed, and somebody describes it",
				(void *)(s->page->start + i * SLICE_BYTES));
		store_rlx(&s->page[i].x_owner, i > 0 ? OWNER_INSIDE : OWNER_MID);
		s->page[i].head = s->page;
	}
	store_rlx(&s->page->x_bytes, slices * SLICE_BYTES);
	if (touches(w) && zero)
		check_zero(s->page, slices);
	for (unsigned i = 0; i < slices; i++)
		for (unsigned n = 0; touches(w) && n < TOUCHED; n++)
			*word_at(s, i, n) = s->tag;
}

static void release(struct worker *w, const struct held *s)
{
	unsigned slices = s->page->slices;
	size_t first = (size_t)(s->page - page_region(s->page)->pages);

	for (unsigned i = 0; i < slices; i++) {
		for (unsigned n = 0; touches(w) && n < TOUCHED; n++)
			if (*word_at(s, i, n) != s->tag)
				fail("slice at %p: %#llx became %#llx while it was owned",
					(void *)(s->page->start + i * SLICE_BYTES),
					(unsigned long long)s->tag,
					(unsigned long long)*word_at(s, i, n));
		if (s->page[i].head != s->page)
			fail("descriptor of slice %u was overwritten", i);
		mark_drop(owner_of(s->page) + i, w, "slice", first + i);
	}
	span_free(s->page);
}

/*
 * All threads are quiet, and some hold spans. A claim that finds nothing clears
 * a hint while others free.
 */
static void check_granule(struct region *r, size_t g, uint64_t *free, uint64_t *dirty)
{
	uint64_t word = load_rlx(&r->x_slices[g]), bit = (uint64_t)1 << (g % 64);
	uint64_t pool = word & SLICES_ALL, resident = word >> SLICES_DIRTY_SHIFT;

	if (resident & ~pool)
		fail("granule %zu: %08x are dirty, of which only %08x are in the pool", g,
			(uint32_t)resident, (uint32_t)pool);
	if (pool && !(load_rlx(&r->x_has_free[g / 64]) & bit))
		fail("granule %zu: no hint leads to its free slices", g);
	if (resident && !(load_rlx(&r->x_has_dirty[g / 64]) & bit))
		fail("granule %zu: no hint leads to its dirty slices", g);
	*free += (uint64_t)__builtin_popcountll(pool);
	*dirty += (uint64_t)__builtin_popcountll(resident);
}

/* Returns the slices that are not in the pool. */
static uint64_t check_pool(void)
{
	uint64_t dirty = 0, owned = 0;
	struct region *r = load_acq(&nodes[0].x_regions[REGION_SPANS]);

	for (; r != NULL; r = load_acq(&r->x_next)) {
		uint64_t free = 0, committed = load_rlx(&r->x_committed);

		for (size_t g = 0; g < committed; g++)
			check_granule(r, g, &free, &dirty);
		if (load_rlx(&r->x_room) != free)
			fail("%u slices are counted as free, %llu are", load_rlx(&r->x_room),
				(unsigned long long)free);
		owned += committed * GRANULE_SLICES - free;
	}
	/* The other kind of region is not used here. */
	if (load_rlx(&nodes[0].x_dirty_bytes) != dirty * SLICE_BYTES)
		fail("%llu bytes are counted as dirty, %llu are",
			(unsigned long long)load_rlx(&nodes[0].x_dirty_bytes),
			(unsigned long long)(dirty * SLICE_BYTES));
	return owned;
}

static void step(struct worker *w, struct bundle *b)
{
	if (random_chance(w, w->id == 0 ? 20 : 2))
		pool_purge(0, random_size(w, 1, 64 * MIB), SPLIT_ALWAYS);
	if (b->count < HELD && (b->count == 0 || random_chance(w, 52))) {
		claim(w, &b->held[b->count++]);
	} else {
		size_t i = random_below(w, b->count);

		release(w, &b->held[i]);
		b->held[i] = b->held[--b->count];
	}
}

/* Mostly a few steps between quiet moments, at times many. */
static void work(struct worker *w)
{
	struct bundle b = {.count = 0};

	for (size_t n = effort(touches(w) ? 200 : 2000); n > 0; n--) {
		size_t most = random_chance(w, 5) ? 100 : 10;

		for (size_t steps = 1 + random_below(w, most); steps > 0; steps--)
			step(w, &b);
		meet();
		if (w->id == 0)
			check_pool();
		meet();
	}
	while (b.count > 0)
		release(w, &b.held[--b.count]);
}

static void before(void)
{
	hak_option_set("purge_bytes", "2M");
}

static void after(void)
{
	uint64_t owned = check_pool();

	if (owned != 0)
		fail("all slices were freed, %llu are not in the pool", (unsigned long long)owned);
}

const struct program program = {
	.name = "stress_protocol_slices",
	.alone = true,
	.budget = 256 * MIB,
	.before = before,
	.work = work,
	.after = after,
};
