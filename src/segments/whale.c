/*
 * whale.c: see whale.h. The holder of the block is the only one to touch its
 * descriptor; x_slices decides about granules, the kernel about mappings.
 */
#include "segments/whale.h"

#include "base/check.h"
#include "base/os.h"
#include "numa/place.h"
#include "policy/choice.h"
#include "policy/promote.h"
#include "policy/thp.h"
#include "segments/granule.h"
#include "segments/map.h"
#include "segments/purge.h"
#include "segments/region.h"
#include "segments/secure.h"

#include <errno.h>
#include <string.h>

/* Granules of a freed whale that are looked at. */
#define LOOKS_MAX 4

/* First touches are measured while a node has no more in use. */
#define TOUCH_IN_USE_MAX (64 * MIB)

static size_t granules_of(size_t bytes)
{
	return (bytes + GRANULE_BYTES - 1) >> GRANULE_SHIFT;
}

/* Those in regions are seen by their descriptors; nothing needs counting there. */
static void count_mapped(unsigned node, uint64_t whales, uint64_t bytes)
{
	struct node *n = &nodes[node];
	add_rlx(&n->x_mapped, whales);
	add_rlx(&n->x_mapped_bytes, bytes);
	add_rlx(&n->x_committed, bytes);
	add_rlx(&n->x_reserved, bytes);
	add_rlx(&n->x_resident, bytes);
}

static void count(struct page *page, int sign)
{
	size_t bytes = load_rlx(&page->x_bytes);
	if (load_rlx(&page->x_owner) == OWNER_MAPPED)
		count_mapped(page->node, (uint64_t)(int64_t)sign, sign > 0 ? bytes : -bytes);
}

static struct page *describe(
	struct region *r, char *start, size_t bytes, unsigned node, uintptr_t kind)
{
	struct page *page = map_slice(r, start);
	if (load_acq(&page->x_owner) != OWNER_NONE) /* [W1] */
		die("internal error: %p is in use already", (void *)start);
	page->start = start;
	page->node = (uint8_t)node;
	page->free = NULL;
	page->next = page->prev = NULL;
	page->first_class = page->queued = false;
	page->slices = 0;
	page->site = 0;
	store_rlx(&page->x_used, 0);
	store_rlx(&page->x_pinned, 0);
	store_rlx(&page->x_bytes, bytes);
	store_rlx(&page->x_owner, kind);
	count(page, 1);
	return page;
}

/* `more`: bytes that may become resident beside what is. */
static struct page *map_whale(unsigned node, size_t bytes, size_t align, size_t more)
{
	char *start =
		pool_may_grow(more) ? os_map_aligned(bytes, max_size(align, GRANULE_BYTES)) : NULL;
	if (!start)
		return NULL;
	if ((uintptr_t)start + bytes > (uintptr_t)1 << USER_ADDRESS_BITS) {
		os_unmap(start, bytes);
		errno = ENOMEM;
		return NULL;
	}
	struct region *r = region_window(start, node);
	if (!r) {
		os_unmap(start, bytes);
		return NULL;
	}
	place_bind(start, bytes, node);
	return describe(r, start, bytes, node, OWNER_MAPPED);
}

/* The last of them would not be mostly waste. */
static bool may_be_huge(size_t bytes)
{
	return granules_of(bytes) * GRANULE_BYTES - bytes <= bytes / HUGE_WASTE_SHARE;
}

/*
 * A verdict that was loaded may be another machine's: whether it holds on this one is found
 * out with the first block it is of.
 */
static bool may_promote(void)
{
	int saved = errno;
	bool yes = thp_possible(GRANULE_BYTES) && world_has_huge(&world_now);
	errno = saved;
	return yes;
}

/*
 * Blocks of such sizes leave memory in small pages, too, that is resident: while it is cheap,
 * and the process so small that others are not likely to need it.
 */
static bool may_move(unsigned node)
{
	return choice_learns() && world_huge_is_cheap(&world_now) &&
	       pool_in_use(&nodes[node]) < load_rlx(&options.x_huge_from);
}

static unsigned whale_kind(unsigned node, size_t bytes)
{
	enum promote_verdict verdict =
		may_be_huge(bytes) ? promote_claimed(&promotion_now, bytes) : PROMOTE_SMALL;
	if (verdict == PROMOTE_HUGE && may_promote())
		return REGION_WHALES | REGION_HUGE | (may_move(node) ? REGION_ONLY : 0);
	bool huge = verdict != PROMOTE_SMALL &&
		    thp_wanted(pool_in_use(&nodes[node]) + bytes, GRANULE_BYTES);
	return REGION_WHALES | (huge ? REGION_HUGE : 0);
}

/*
 * The program is going to touch it all: what that costs is measured with its first page. But
 * a block that it reserves for later is resident in part then: so only while few are in use.
 */
static COLD void touch_fresh(unsigned node, char *start, size_t bytes)
{
	if (!(map_region(start)->kind & REGION_HUGE) || !granule_was_fresh(start) ||
		os_purged_lazily() || !promote_is_huge(&promotion_now, bytes) ||
		pool_in_use(&nodes[node]) > TOUCH_IN_USE_MAX)
		return;
	uint64_t before = os_thread_ns();
	*(volatile char *)start = 0;
	choice_touched(GRANULE_BYTES, os_thread_ns() - before);
}

struct page *whale_alloc(unsigned node, size_t bytes, size_t align, bool *zero)
{
	if (bytes > SIZE_LIMIT - os_page_bytes()) {
		errno = ENOMEM;
		return NULL;
	}
	bytes = align_up(max_size(bytes, 1), os_page_bytes());
	*zero = true;
	if (bytes <= WHALE_REGION_MAX && align <= WHALE_REGION_MAX) {
		size_t unit = align > GRANULE_BYTES ? align >> GRANULE_SHIFT : 1;
		unsigned kind = whale_kind(node, bytes);
		char *start = granules_claim(node, kind, granules_of(bytes), unit, zero);
		if (start && kind & REGION_HUGE)
			touch_fresh(node, start, bytes);
		if (start)
			return describe(map_region(start), start, bytes, node, OWNER_WHALE);
	}
	*zero = true;
	struct page *page = map_whale(node, bytes, align, bytes);
	if (page && pool_has_overgrown()) {
		whale_free(page);
		page = NULL;
	}
	if (!page)
		errno = ENOMEM; /* whatever the kernel called it */
	return page;
}

static COLD void look(char *granule, size_t bytes)
{
	size_t pages = min_size(GRANULE_BYTES / os_page_bytes(), OS_PAGES_LOOKED);
	size_t touched = os_resident_pages(granule, GRANULE_BYTES);
	promote_observe(
		&promotion_now, &world_now, bytes, (uint32_t)(touched * PROMOTE_ALL / pages));
}

/*
 * How much of what was fresh the program has touched: a few granules are looked at, from
 * the first to the last whole one.
 */
static void look_at(const struct page *page, size_t bytes)
{
	size_t whole = bytes >> GRANULE_SHIFT, looks = min_size(whole, LOOKS_MAX);
	bool due = false;
	for (size_t i = 0; i < looks; i++) {
		size_t at = i ? i * (whole - 1) / (looks - 1) : 0;
		char *granule = page->start + at * GRANULE_BYTES;
		if (!granule_was_fresh(granule))
			continue;
		/* Memory that was given back lazily may have been resident all the same. */
		if (!due && (os_purged_lazily() || !thp_possible(GRANULE_BYTES) ||
				    !promote_is_due(&promotion_now, bytes, may_be_huge(bytes))))
			return;
		due = true;
		look(granule, bytes);
	}
}

/*
 * The last granule counts when at least half of it was used; where nothing is learned it has a
 * stamp in any case, because nobody took the one away that it had before.
 */
static void whale_retire(char *start, size_t bytes, enum site_class class, uint32_t stamp)
{
	size_t room = granules_of(bytes) * GRANULE_BYTES;
	size_t stamped = choice_learns() ? bytes + GRANULE_BYTES / 2 : room;
	if (stamp)
		granules_stamp(start, max_size(stamped >> GRANULE_SHIFT, 1), stamp);
	bool dirty = !secure_wipe_big(start, bytes, room);
	granules_free(start, granules_of(bytes), dirty, class);
}

void whale_free(struct page *page)
{
	char *start = page->start;
	size_t bytes = load_rlx(&page->x_bytes);
	bool mapped = load_rlx(&page->x_owner) == OWNER_MAPPED;
	uint32_t stamp;
	enum site_class class = choice_of(page->node, page->site, bytes, &stamp);
	int saved = errno;
	if (!mapped && !(page_region(page)->kind & REGION_HUGE)) {
		if (choice_learns())
			look_at(page, bytes);
		/* The next of that size will not have this memory (whale_kind). */
		if (promote_is_huge(&promotion_now, bytes) && may_be_huge(bytes) && may_promote() &&
			may_move(page->node)) {
			class = SITE_COLD;
			stamp = 0;
		}
	}
	count(page, -1);
	store_rel(&page->x_owner, OWNER_NONE); /* [W1] */
	if (mapped)
		os_unmap(start, bytes);
	else
		whale_retire(start, bytes, class, stamp);
	errno = saved;
}

static void set_bytes(struct page *page, size_t bytes)
{
	count(page, -1);
	store_rlx(&page->x_bytes, bytes);
	count(page, 1);
}

/*
 * A move onto `to` failed, and nobody knows what the kernel left there: the
 * address is forgotten, so that nothing of anybody else's is ever unmapped.
 */
static struct page *forget(struct page *to)
{
	count(to, -1);
	store_rel(&to->x_owner, OWNER_NONE); /* [W1] */
	return NULL;
}

static struct page *move_mapped(struct page *page, struct page *to)
{
	size_t old = load_rlx(&page->x_bytes);
	char *from = page->start;
	unsigned node = page->node;
	/* The descriptor first: once unmapped, the address can be another whale's. */
	store_rel(&page->x_owner, OWNER_NONE); /* [W1] */
	if (!os_move_mapping(from, old, to->start, load_rlx(&to->x_bytes))) {
		store_rlx(&page->x_owner, OWNER_MAPPED);
		return forget(to);
	}
	count_mapped(node, -(uint64_t)1, -old);
	return to;
}

/* By way of an address of the kernel's, because only a whole mapping can grow as it moves. */
static struct page *move_granules(struct page *page, struct page *to)
{
	size_t old = load_rlx(&page->x_bytes);
	char *from = page->start, *between = os_move_pages(from, old);
	if (!between) {
		whale_free(to);
		return NULL;
	}
	if (!os_move_mapping(between, old, to->start, load_rlx(&to->x_bytes))) {
		memcpy(from, between, old);
		os_unmap(between, old);
		return forget(to);
	}
	count(page, -1);
	store_rlx(&page->x_owner, OWNER_NONE);
	/* What lay behind the whale in its last granule was not moved. */
	size_t tail = granules_of(old) * GRANULE_BYTES - old;
	bool dirty = tail && !os_purge(from + old, tail);
	granules_free(from, granules_of(old), dirty, SITE_HOT);
	return to;
}

/* The pages go to a mapping of their own, where later growth is cheap. */
static struct page *move(struct page *page, size_t bytes)
{
	struct page *to =
		map_whale(page->node, bytes, GRANULE_BYTES, bytes - load_rlx(&page->x_bytes));
	if (!to)
		return NULL;
	bool mapped = load_rlx(&page->x_owner) == OWNER_MAPPED;
	return mapped ? move_mapped(page, to) : move_granules(page, to);
}

static bool grow_in_region(struct page *page, size_t old, size_t bytes)
{
	size_t have = granules_of(old), need = granules_of(bytes);
	bool zero;
	if (need > have &&
		!granules_claim_at(page->start + have * GRANULE_BYTES, need - have, &zero))
		return false;
	set_bytes(page, bytes);
	return true;
}

/* The tail goes back to the kernel, and its whole granules to the pool. */
static void shrink(struct page *page, size_t old, size_t bytes)
{
	char *end = page->start + bytes;
	if (load_rlx(&page->x_owner) == OWNER_MAPPED) {
		if (!os_unmap(end, old - bytes))
			return;
	} else {
		size_t have = granules_of(old), need = granules_of(bytes);
		size_t kept = min_size(need * GRANULE_BYTES, old);
		/* Part of a huge page stays, rather than be split. */
		if (kept > bytes && region_may_split(page_region(page), SPLIT_NEVER))
			os_purge(end, kept - bytes);
		if (have > need) {
			char *tail = page->start + need * GRANULE_BYTES;
			size_t room = (have - need) * GRANULE_BYTES;
			bool dirty = !secure_wipe_big(tail, room, room);
			granules_stamp(tail, have - need, 0);
			granules_free(tail, have - need, dirty, SITE_HOT);
		}
	}
	set_bytes(page, bytes);
}

struct page *whale_resize(struct page *page, size_t bytes)
{
	size_t old = load_rlx(&page->x_bytes);
	if (bytes > SIZE_LIMIT - os_page_bytes()) {
		errno = ENOMEM;
		return NULL;
	}
	bytes = align_up(bytes, os_page_bytes());
	if (bytes <= old) {
		if (bytes < old)
			shrink(page, old, bytes);
		return page;
	}
	if (load_rlx(&page->x_owner) == OWNER_MAPPED) {
		if (pool_may_grow(bytes - old) && os_grow_in_place(page->start, old, bytes)) {
			set_bytes(page, bytes);
			if (likely(!pool_has_overgrown()))
				return page;
			shrink(page, bytes, old);
			errno = ENOMEM;
			return NULL;
		}
	} else if (bytes <= WHALE_REGION_MAX && grow_in_region(page, old, bytes)) {
		return page;
	}
	return move(page, bytes);
}
