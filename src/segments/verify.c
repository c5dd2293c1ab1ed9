/*
 * verify.c: see verify.h. Walks regions and descriptors; free lists are
 * followed and counted, which needs their owners to be quiet. What cannot be
 * looked at from here: I9, and the order in which others see things.
 */
#include "segments/verify.h"

#include "base/check.h"
#include "base/os.h"
#include "segments/map.h"
#include "segments/page.h"
#include "segments/trim.h"

#define REQUIRE(cond, page)                                                                        \
	CHECK(cond, "verify: page %p (blocks of %zu): broken: %s", (void *)(page)->start,          \
		load_rlx(&(page)->x_bytes), #cond)

/* What the regions and mappings of a node add up to (I10). */
struct sums {
	size_t committed, resident, dirty, mapped, mapped_bytes;
	uint32_t partial[SMALL_CLASSES], untrimmed;
};
static struct sums sums[NODES_MAX];

/* In a forked child: what other threads had in hand belongs to nobody. */
static _Atomic(bool) x_cut_off; /* any: relaxed */

void verify_forked(void)
{
	store_rlx(&x_cut_off, true);
}

bool verify_cut_off(void)
{
	return load_rlx(&x_cut_off);
}

/*
 * I6, of one word, another one each time: all would take long. Only where the
 * page is there: what is not reads as zero, and would be there afterwards.
 */
static bool reads_zero(const char *start, size_t bytes)
{
	static _Atomic(uint32_t) x_sample; /* any: relaxed */
	uint32_t mixed = add_rlx(&x_sample, 1) * 0x9e3779b1u;
	size_t words = bytes / sizeof(uint64_t);
	if (os_purged_lazily() || !words)
		return true;
	const volatile uint64_t *word =
		(const volatile uint64_t *)start + ((uint64_t)mixed * words >> 32);
	void *page = (void *)align_down((uintptr_t)word, os_page_bytes());
	int node;
	return !os_pages_nodes(&page, &node, 1) || node < 0 || *word == 0;
}

/* I2, I3, I4, I8: the free list lies in the page, has no cycle, and adds up. */
void verify_page(struct page *page)
{
	size_t bytes = load_rlx(&page->x_bytes), span = page_span_bytes(page);
	uint32_t pinned = load_rlx(&page->x_pinned), used = load_rlx(&page->x_used) - pinned;
	uint32_t carved = load_rlx(&page->x_carved), free = 0;
	REQUIRE(page->size_class < SMALL_CLASSES, page);
	REQUIRE(bytes == class_bytes(page->size_class), page);
	REQUIRE(page->slices == class_slices(page->size_class), page);
	REQUIRE(carved <= page->total && page->total == span / bytes, page);
	REQUIRE(pinned <= 1 && !(pinned && page->queued), page);
	for (struct block *b = page->free; b != &list_end; b = list_next(page, b)) {
		size_t offset = (size_t)((char *)b - page->start);
		REQUIRE(offset < carved * bytes && offset % bytes == 0, page);
		REQUIRE(!HAK_CHECKED || b->mark == mark_listed(page), page);
		REQUIRE(++free <= carved, page);
	}
	REQUIRE(used + free + page_away_blocks(page) == carved, page);
	for (unsigned i = 1; i < page->slices; i++)
		REQUIRE(page_owner(&page[i]) == OWNER_INSIDE && page[i].head == page, page);
	REQUIRE(!page->zero || reads_zero(page->start + carved * bytes, span - carved * bytes),
		page);
	if (page_owner(page) == OWNER_NOBODY)
		REQUIRE(used > 0 && !pinned && !page->queued && !page->first_class &&
				!load_rlx(&page->x_reaped),
			page);
	else
		REQUIRE(HAK_SECURE || pinned || page->queued || page->first_class, page);
}

static bool bit_of(_Atomic(uint64_t) *x_words, size_t index)
{
	return load_rlx(&x_words[index / 64]) >> (index % 64) & 1;
}

/* I5: nobody's page with room can be found. */
static void verify_offered(struct region *r, size_t index)
{
	struct page *page = &r->pages[index];
	size_t stride = index / 64 / PARTIAL_STRIDE;
	if (page_owner(page) != OWNER_NOBODY || !page_is_partial(page))
		return;
	REQUIRE(bit_of(r->x_partial[page->size_class], index), page);
	REQUIRE(load_rlx(&r->x_partial_words[page->size_class]) >> stride & 1, page);
	REQUIRE(page->trimmed || bit_of(r->x_untrimmed, index), page);
}

static void verify_mid(struct page *page)
{
	REQUIRE(page->size_class >= SMALL_CLASSES && page->size_class < CLASSES, page);
	REQUIRE(load_rlx(&page->x_bytes) == class_bytes(page->size_class), page);
	REQUIRE(page->slices == class_slices(page->size_class), page);
	for (unsigned i = 1; i < page->slices; i++)
		REQUIRE(page_owner(&page[i]) == OWNER_NONE, page);
}

/* I1: a span that somebody owns, in `slices` that are not in the pool; 0 if nothing begins there. */
static unsigned verify_span(struct region *r, size_t index, uint32_t pool, struct verified *v)
{
	struct page *page = &r->pages[index];
	uintptr_t owner = page_owner(page);
	unsigned first = index % GRANULE_SLICES;
	if (owner == OWNER_NONE || owner == OWNER_MAPPED)
		return 0;
	REQUIRE(page->start == (char *)r->base + index * SLICE_BYTES, page);
	REQUIRE(page->node == r->node && first + page->slices <= GRANULE_SLICES, page);
	if (owner == OWNER_NOBODY || owner > OWNER_SPECIAL_MAX) {
		verify_page(page);
		verify_offered(r, index);
		v->pages++;
		v->owned += owner != OWNER_NOBODY;
	} else {
		uintptr_t kind = owner & ~OWNER_KEPT;
		REQUIRE(kind == OWNER_MID || kind == OWNER_BIG || owner == OWNER_CACHED, page);
		verify_mid(page);
		v->cached += owner == OWNER_CACHED;
	}
	REQUIRE(page->slices && !(pool >> first & (uint32_t)(((uint64_t)1 << page->slices) - 1)),
		page);
	return page->slices;
}

static void verify_granule(struct region *r, size_t g, struct verified *v)
{
	uint64_t word = load_acq(&r->x_slices[g]); /* [S1] */
	uint32_t pool = (uint32_t)word, dirty = (uint32_t)(word >> SLICES_DIRTY_SHIFT);
	struct sums *s = &sums[r->node];
	CHECK((dirty & ~pool) == 0, "verify: granule %zu: dirty slices that are not in the pool",
		g);
	CHECK(!pool || bit_of(r->x_has_free, g), "verify: granule %zu: no hint to free slices", g);
	CHECK(!dirty || bit_of(r->x_has_dirty, g), "verify: granule %zu: no hint to dirty slices",
		g);
	s->dirty += (size_t)__builtin_popcount(dirty) * SLICE_BYTES;
	for (size_t i = 0; i < GRANULE_SLICES;) {
		struct page *page = &r->pages[g * GRANULE_SLICES + i];
		char *start = (char *)r->base + (g * GRANULE_SLICES + i) * SLICE_BYTES;
		unsigned slices = 0;
		if (pool >> i & 1) {
			REQUIRE(page_owner(page) == OWNER_NONE, page); /* I7 */
			CHECK(dirty >> i & 1 || reads_zero(start, SLICE_BYTES),
				"verify: slice %p is clean and does not read as zero",
				(void *)start);
			s->committed += SLICE_BYTES;
		} else {
			slices = verify_span(r, g * GRANULE_SLICES + i, pool, v);
			s->committed += slices * SLICE_BYTES;
			s->resident += slices * SLICE_BYTES;
		}
		i += slices ? slices : 1;
	}
}

/* The same by the granule: whales. */
static size_t verify_whale(struct region *r, size_t g)
{
	uint64_t word = load_acq(&r->x_slices[g / GRANULE_SLICES]) >> g % GRANULE_SLICES; /* [G1] */
	bool free = word & 1, dirty = word >> SLICES_DIRTY_SHIFT & 1;
	struct page *page = &r->pages[g * GRANULE_SLICES];
	uintptr_t owner = page_owner(page);
	struct sums *s = &sums[r->node];
	CHECK(free || !dirty, "verify: granule %zu: dirty, and not in the pool", g);
	if (free) {
		REQUIRE(owner == OWNER_NONE, page); /* I7 */
		CHECK(dirty || reads_zero((char *)r->base + g * GRANULE_BYTES, GRANULE_BYTES),
			"verify: granule %zu is clean and does not read as zero", g);
		s->committed += GRANULE_BYTES;
		s->dirty += dirty ? GRANULE_BYTES : 0;
		return 1;
	}
	if (owner == OWNER_NONE)
		return 1;
	size_t count = (load_rlx(&page->x_bytes) + GRANULE_BYTES - 1) / GRANULE_BYTES;
	REQUIRE((owner & ~OWNER_KEPT) == OWNER_WHALE, page);
	REQUIRE(page->start == (char *)r->base + g * GRANULE_BYTES, page);
	REQUIRE(count > 0 && g + count <= load_rlx(&r->x_committed), page);
	for (size_t i = g + 1; i < g + count; i++) {
		uint64_t other = load_rlx(&r->x_slices[i / GRANULE_SLICES]);
		REQUIRE(!(other >> i % GRANULE_SLICES & 1), page);
		REQUIRE(page_owner(&r->pages[i * GRANULE_SLICES]) == OWNER_NONE, page);
	}
	s->committed += count * GRANULE_BYTES;
	s->resident += count * GRANULE_BYTES;
	return count;
}

static void verify_region(struct region *r, struct verified *v)
{
	struct sums *s = &sums[r->node];
	bool whole = load_rlx(&r->x_limit) == REGION_GRANULES;
	size_t granules = whole ? load_rlx(&r->x_committed) : REGION_GRANULES, room = 0;
	for (size_t g = 0; g < granules;) {
		if (r->kind & REGION_WHALES) {
			g += verify_whale(r, g);
			continue;
		}
		room += (size_t)__builtin_popcountl(load_rlx(&r->x_slices[g]) & SLICES_ALL);
		verify_granule(r, g++, v);
	}
	CHECK(r->kind & REGION_WHALES || room == load_rlx(&r->x_room),
		"verify: region %p: %zu slices in the pool, %u were counted", (void *)r->base, room,
		load_rlx(&r->x_room));
	for (size_t word = 0; word < REGION_SLICES / 64; word++) {
		s->untrimmed += (uint32_t)__builtin_popcountl(load_rlx(&r->x_untrimmed[word]));
		for (unsigned c = 0; c < SMALL_CLASSES; c++)
			s->partial[c] +=
				(uint32_t)__builtin_popcountl(load_rlx(&r->x_partial[c][word]));
	}
}

/* Whales with mappings of their own, which lie in any window. Returns their number. */
static size_t verify_mapped(struct region *r)
{
	size_t found = 0;
	for (size_t g = 0; g < REGION_GRANULES; g++) {
		struct page *page = &r->pages[g * GRANULE_SLICES];
		if ((page_owner(page) & ~OWNER_KEPT) != OWNER_MAPPED)
			continue;
		REQUIRE(page->start == (char *)r->base + g * GRANULE_BYTES, page);
		REQUIRE(page->node < NODES_MAX, page);
		sums[page->node].mapped++;
		sums[page->node].mapped_bytes += load_rlx(&page->x_bytes);
		found++;
	}
	return found;
}

static void verify_sum(unsigned node, const char *what, size_t sum, size_t counted)
{
	CHECK(sum == counted, "verify: node %u: %s: %zu, and %zu were counted", node, what, sum,
		counted);
}

/* I10 */
static void verify_node(unsigned node)
{
	struct node *n = &nodes[node];
	struct sums *s = &sums[node];
	verify_sum(node, "bytes in the pool or owned", s->committed + s->mapped_bytes,
		load_rlx(&n->x_committed));
	verify_sum(node, "bytes owned, or in the pool and dirty",
		s->resident + s->dirty + s->mapped_bytes, load_rlx(&n->x_resident));
	verify_sum(node, "dirty bytes", s->dirty, load_rlx(&n->x_dirty_bytes));
	verify_sum(node, "whales with mappings", s->mapped, load_rlx(&n->x_mapped));
	verify_sum(node, "their bytes", s->mapped_bytes, load_rlx(&n->x_mapped_bytes));
	verify_sum(node, "pages to trim", s->untrimmed, load_rlx(&n->x_untrimmed));
	for (unsigned c = 0; c < SMALL_CLASSES; c++)
		verify_sum(node, "pages with room", s->partial[c], load_rlx(&n->x_partial[c]));
}

/* From the top, where the kernel places mappings, until all that were counted are found. */
static void verify_all_mapped(void)
{
	size_t left = 0;
	for (unsigned node = 0; node < topology_nodes(); node++)
		left += load_rlx(&nodes[node].x_mapped);
	for (size_t i = REGION_MAP_ENTRIES; left > 0 && i-- > 0;) {
		struct region *r = load_acq(&region_map[i]); /* [M1] */
		if (r && load_rlx(&r->x_limit) != REGION_GRANULES)
			left -= min_size(verify_mapped(r), left);
	}
}

struct verified verify_regions(void)
{
	struct verified v = {0};
	for (unsigned node = 0; node < topology_nodes(); node++)
		sums[node] = (struct sums){0};
	for (unsigned node = 0; node < topology_nodes(); node++)
		for (unsigned kind = 0; kind < REGION_KINDS; kind++) {
			struct region *r = load_acq(&nodes[node].x_regions[kind]); /* [R1] */
			for (; r; r = load_acq(&r->x_next))                        /* [R1+] */
				verify_region(r, &v);
		}
	verify_all_mapped();
	for (unsigned node = 0; !verify_cut_off() && node < topology_nodes(); node++)
		verify_node(node);
	return v;
}
