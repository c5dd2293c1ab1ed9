/*
 * reap.c: see reap.h. Who does what with a page at the same time:
 *
 *              | owner allocates, frees  | owner lets go, another takes  | owner carves
 *   reaper     | other blocks            | x_reaped, then x_owner [V2]   | x_tail, one wins
 *
 * The blocks in hand keep the page alive (I4) until they are left in x_reaped or
 * sent back, which therefore comes last. A thread stopped here strands what was in
 * one inbox, and the tails of those pages, which their owner does without.
 */
#include "segments/reap.h"

#include "base/os.h"
#include "segments/map.h"
#include "segments/page.h"
#include "segments/trim.h"
#include "segments/units.h"

#define SLOTS REAP_SLOTS
#define PAGES_MAX (SLOTS / 4 * 3)
#define RANGES 256

/* Of the blocks in hand: how many touch each unit of their page, and what follows. */
struct reaped {
	struct page *page;
	uint32_t units; /* they are complete */
	bool tail;      /* held */
	uint16_t in_hand[UNITS_MAX];
};

static _Atomic(bool) x_reaping;       /* any: cas; who sets it has what follows [V3] */
static _Thread_local bool is_reaping; /* own: it was this thread */
static struct region *looked_at;      /* the last region asked about, */
static bool may_split;                /* and whether it may be purged by system pages */
static struct reaped table[SLOTS];
static struct iovec ranges[RANGES];
static size_t pages, used_ranges;

bool reap_begin(void)
{
	bool reaping = false, outer = is_reaping;
	is_reaping = true; /* first: a handler may fork in between */
	if (load_rlx(&x_reaping) || !cas_acq(&x_reaping, &reaping, true)) { /* [V3] */
		is_reaping = outer;
		return false;
	}
	for (size_t i = 0; i < SLOTS; i++)
		table[i].page = NULL;
	pages = used_ranges = 0;
	looked_at = NULL;
	return true;
}

void reap_end(void)
{
	is_reaping = false;
	store_rel(&x_reaping, false); /* [V3] */
}

/* A handler of a signal that interrupts a reaper may fork: then it goes on. */
void reap_forked(void)
{
	store_rlx(&x_reaping, is_reaping);
}

/* Once for each region: the answer takes a walk, and blocks come region by region. */
static bool may_reap(const struct page *page, enum split split)
{
	struct region *r = page_region(page);
	if (r != looked_at) {
		looked_at = r;
		may_split = region_may_split(r, split);
	}
	return may_split;
}

/* Its entry, or the empty one where it belongs. */
static struct reaped *find(const struct page *page)
{
	size_t slot = (uintptr_t)page >> PAGE_SHIFT;
	while (table[slot % SLOTS].page && table[slot % SLOTS].page != page)
		slot++;
	return &table[slot % SLOTS];
}

static unsigned block_index(const struct page *page, const struct block *block)
{
	return class_index(page->size_class, (size_t)((const char *)block - page->start));
}

void reap_add(struct page *page, const struct block *block, enum split split)
{
	struct reaped *r = find(page);
	if (!r->page) {
		if (pages == PAGES_MAX || page->first_class || !may_reap(page, split))
			return;
		*r = (struct reaped){.page = page};
		pages++;
	}
	size_t bytes = load_rlx(&page->x_bytes);
	unsigned i = block_index(page, block);
	unsigned unit = block_first_unit(bytes, i), last = block_last_unit(bytes, i);
	CHECK(!block_is_away(bytes, load_rlx(&page->x_reaped), i),
		"free(%p): double free: the block is free (page of blocks of %zu bytes at %p)",
		(const void *)block, bytes, (void *)page->start);
	for (; unit <= last; unit++)
		r->in_hand[unit]++;
}

void reap_decide(void)
{
	for (struct reaped *r = table; r < table + SLOTS; r++) {
		if (!r->page)
			continue;
		size_t bytes = load_rlx(&r->page->x_bytes);
		for (unsigned unit = 0; unit < UNITS_MAX; unit++) {
			unsigned first = unit_first(bytes, unit);
			if (r->in_hand[unit] &&
				r->in_hand[unit] == unit_end(bytes, unit, r->page->total) - first)
				r->units |= (uint32_t)1 << unit;
		}
	}
}

bool reap_takes(struct page *page, const struct block *block)
{
	const struct reaped *r = find(page);
	return r->page &&
	       block_is_away(load_rlx(&page->x_bytes), r->units, block_index(page, block));
}

/* Its owner, or whoever owns it by then, collects them: at the latest when it lets go. */
static void leave_units(struct page *page, uint32_t units, uintptr_t owner)
{
	or_sc(&page->x_reaped, units);                                         /* [V1] [V2] */
	if (load_sc(&page->x_owner) == OWNER_NOBODY && page_take(page, owner)) /* [V2] */
		page_let_go(page);
}

static void publish(struct reaped *from, struct reaped *to, uintptr_t owner)
{
	for (struct reaped *r = from; r < to; r++) {
		if (r->page && r->tail)
			store_rel(&r->page->x_tail, TAIL_PURGED); /* [V4] */
		if (r->page && r->units)
			leave_units(r->page, r->units, owner);
	}
}

static void add_ranges(struct reaped *r)
{
	struct page *page = r->page;
	struct tail tail = {SIZE_MAX, false};
	uint8_t open = TAIL_OPEN;
	if (cas_acq(&page->x_tail, &open, TAIL_HELD)) { /* [V4] */
		tail = (struct tail){load_rlx(&page->x_carved) * load_rlx(&page->x_bytes), true};
		r->tail = true;
	}
	used_ranges += units_ranges(page, r->units, r->units, tail, &ranges[used_ranges]);
}

/* A failure leaves memory resident, nothing else. */
static void flush(struct reaped *from, struct reaped *to, uintptr_t owner)
{
	if (PLANT_REAP_ORDER)
		publish(from, to, owner);
	if (used_ranges)
		os_purge_ranges(ranges, used_ranges);
	if (!PLANT_REAP_ORDER)
		publish(from, to, owner);
	used_ranges = 0;
}

void reap_purge(uintptr_t owner)
{
	struct reaped *from = table, *r = table;
	for (; r < table + SLOTS; r++) {
		if (!r->page)
			continue;
		add_ranges(r);
		if (used_ranges + TRIM_RANGES_MAX > RANGES) {
			flush(from, r + 1, owner);
			from = r + 1;
		}
	}
	flush(from, r, owner);
}

bool page_collect(struct page *page)
{
	if (likely(!load_rlx(&page->x_reaped)))
		return false;
	uint32_t units = xchg_acq_rel(&page->x_reaped, 0); /* [V1] */
	store_rlx(&page->x_used, load_rlx(&page->x_used) - units_blocks(page, units));
	store_rlx(&page->x_away, load_rlx(&page->x_away) | units);
	return true;
}
