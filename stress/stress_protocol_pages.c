/*
 * stress_protocol_pages: the change of a page's owner alone [P1] [P2]. Threads
 * take a few pages, directly as a free does and through the partial map as an
 * allocation does, change what is in them and let go again; now and then one
 * is unmade and another class made instead. No page may have two owners, the
 * next owner sees what the last one wrote, and when all are quiet every page
 * with enough room has its bit and can be found.
 */
#include "protocol.h"

#include "segments/map.h"
#include "segments/page.h"
#include "segments/span.h"

enum {
	PAGES = 6,
	KINDS = 3,
	BLOCKS_MAX = 20,
};

/* By descriptor. Plain, but for the mark: whoever owns the page owns its record. */
static struct record {
	mark holder;
	unsigned count;
	struct block *blocks[BLOCKS_MAX];
} records[REGION_SLICES];

static struct region *region;                /* const after the first round's start */
static _Atomic(struct page *) places[PAGES]; /* where to look; its page's owner writes */
static char owners[THREADS_MAX + 1][CACHE_LINE_BYTES];

static unsigned kind_class(size_t kind)
{
	static const size_t bytes[KINDS] = {SLICE_BYTES / 8, SLICE_BYTES / 16, SLICE_BYTES / 4 * 3};

	return class_of(bytes[kind]);
}

static uintptr_t name_of(const struct worker *w)
{
	return (uintptr_t)owners[w->id];
}

static size_t index_of(const struct page *page)
{
	return (size_t)(page - region->pages);
}

static void check_taken(struct worker *w, struct page *page)
{
	struct record *rec = &records[index_of(page)];

	mark_take(&rec->holder, w, "page", index_of(page));
	if (page_owner(page) != name_of(w))
		fail("page %zu was taken and has another owner", index_of(page));
	if (load_rlx(&page->x_used) != rec->count || rec->count == 0)
		fail("page %zu has %u blocks in use, its last owner left %u", index_of(page),
			load_rlx(&page->x_used), rec->count);
	w->serial++;
}

static void let_go(struct worker *w, struct page *page)
{
	mark_drop(&records[index_of(page)].holder, w, "page", index_of(page));
	page_let_go(page);
}

static void fill(struct page *page, unsigned used)
{
	struct record *rec = &records[index_of(page)];

	while (rec->count < used) {
		struct block *block;

		if (list_is_empty(page))
			page_carve(page, false);
		block = page_pop(page);
		block->next = (struct block *)rec; /* the block is written, as a program does */
		rec->blocks[rec->count++] = block;
	}
	while (rec->count > used) {
		struct block *block = rec->blocks[--rec->count];

		if (block->next != (struct block *)rec)
			fail("block %p lost its contents", (void *)block);
		if (page_push(page, block) != (rec->count == 0))
			fail("page %zu is empty and does not know, or the other way round",
				index_of(page));
	}
}

/* A page of a random kind with a block in use, owned by the worker. */
static struct page *make(struct worker *w)
{
	unsigned c = kind_class(random_below(w, KINDS));
	bool zero;
	struct page *page = span_claim(0, REGION_SPANS, class_slices(c), 1, &zero);

	if (page == NULL)
		fail("no memory for a page");
	if (region == NULL)
		region = page_region(page);
	if (page_region(page) != region)
		fail("more than one region for so little memory");
	page_init(page, c, name_of(w), zero);
	if (page->total > BLOCKS_MAX)
		fail("%u blocks in a page, at most %d are foreseen", page->total, BLOCKS_MAX);
	mark_take(&records[index_of(page)].holder, w, "page", index_of(page));
	fill(page, 1);
	return page;
}

static void unmake(struct worker *w, struct page *page)
{
	fill(page, 0);
	mark_drop(&records[index_of(page)].holder, w, "page", index_of(page));
	page_free(page);
}

static void replace(struct worker *w, struct page *page)
{
	unsigned place = 0;

	while (load_rlx(&places[place]) != page)
		if (++place == PAGES)
			fail("page %zu is nowhere", index_of(page));
	/* First: the same descriptor may soon be a page in another place. */
	store_rlx(&places[place], NULL);
	unmake(w, page);
	page = make(w);
	store_rlx(&places[place], page);
	let_go(w, page);
}

static void use(struct worker *w, struct page *page)
{
	check_taken(w, page);
	if (random_chance(w, 6)) {
		replace(w, page);
		return;
	}
	fill(page, random_chance(w, 30) ? page->total : 1 + (unsigned)random_below(w, page->total));
	let_go(w, page);
}

static bool has_enough_room(const struct page *page)
{
	unsigned room = page->total - load_rlx(&page->x_used);

	return room > 0 && room * PARTIAL_SHARE >= page->total;
}

/* I5, and the counters and hints that lead to a bit. */
static void check_partial(void)
{
	for (unsigned kind = 0; kind < KINDS; kind++) {
		unsigned c = kind_class(kind), set = 0;

		for (size_t word = 0; word < REGION_SLICES / 64; word++)
			set += (unsigned)__builtin_popcountll(
				load_rlx(&region->x_partial[c][word]));
		if (set != load_rlx(&nodes[0].x_partial[c]))
			fail("%u pages of class %u are counted as partial, %u are",
				load_rlx(&nodes[0].x_partial[c]), c, set);
		if (set != 0 && load_rlx(&region->x_partial_words[c]) == 0)
			fail("%u pages of class %u have a bit, and no hint leads to them", set, c);
	}
	for (unsigned i = 0; i < PAGES; i++) {
		struct page *page = load_rlx(&places[i]);
		size_t index = index_of(page);
		uint64_t word = load_rlx(&region->x_partial[page->size_class][index / 64]);

		if (page_owner(page) != OWNER_NOBODY)
			fail("page %zu was let go and has an owner", index);
		if (has_enough_room(page) && !(word >> index % 64 & 1))
			fail("page %zu has room for %u blocks and no bit", index,
				page->total - load_rlx(&page->x_used));
	}
}

static void step(struct worker *w)
{
	struct page *page;

	if (random_chance(w, 40)) {
		page = load_rlx(&places[random_below(w, PAGES)]);
		if (page == NULL || !page_take(page, name_of(w)))
			return;
	} else {
		unsigned c = kind_class(random_below(w, KINDS));

		page = page_take_partial(0, c, name_of(w));
		if (page == NULL)
			return;
		if (page->size_class != c || !page_has_room(page))
			fail("page %zu: not of the class or full", index_of(page));
	}
	use(w, page);
}

/* Mostly a few steps between quiet moments, at times many. */
static void work(struct worker *w)
{
	for (size_t n = effort(400); n > 0; n--) {
		size_t most = random_chance(w, 5) ? 500 : 16;

		for (size_t steps = 1 + random_below(w, most); steps > 0; steps--)
			step(w);
		meet();
		if (w->id == 0)
			check_partial();
		meet();
	}
}

static void before(void)
{
	for (unsigned i = 0; i < PAGES; i++) {
		struct page *page = make(main_worker());

		store_rlx(&places[i], page);
		let_go(main_worker(), page);
	}
}

static void after(void)
{
	struct worker *w = main_worker();
	struct page *page;

	check_partial();
	for (unsigned kind = 0; kind < KINDS; kind++)
		while ((page = page_take_partial(0, kind_class(kind), name_of(w))) != NULL)
			check_taken(w, page);
	for (unsigned i = 0; i < PAGES; i++) {
		page = load_rlx(&places[i]);
		if (page_take(page, name_of(w))) {
			if (has_enough_room(page))
				fail("page %zu has room and was not found", index_of(page));
			check_taken(w, page);
		}
		unmake(w, page);
	}
}

const struct program program = {
	.name = "stress_protocol_pages",
	.alone = true,
	.budget = 16 * MIB,
	.before = before,
	.work = work,
	.after = after,
};
