/*
 * bench_protocols: what the library's protocols cost, on its own functions:
 * frees into one's own, another thread's and nobody's pages, the change of a
 * page's owner, slices, heaps, and the way from an address to its descriptor.
 * See protocols.h for what a row means.
 */
#include "protocols.h"

#include "base/options.h"
#include "base/os.h"
#include "segments/map.h"
#include "segments/page.h"
#include "segments/purge.h"
#include "segments/span.h"
#include "tls/alloc.h"
#include "tls/heap.h"

#define BLOCKS 512 /* of 64 bytes: less than a page of them */
#define BLOCK_SIZE 64
#define SPANS 64
#define PAGES 32
#define PAIRS 256
#define SLICES_FEW 64
#define SLICES_MANY 4096
#define FLUSHED 64

static uint64_t rounds = 201;
static bool has_partner;

/* ---- Frees ---- */

static void *blocks[BLOCKS];

static void allocate_blocks(void)
{
	for (unsigned i = 0; i < BLOCKS; i++)
		blocks[i] = block_alloc(BLOCK_SIZE);
}

static uint64_t free_blocks(void)
{
	uint64_t begin = stamp();
	for (unsigned i = 0; i < BLOCKS; i++)
		block_free(blocks[i]);
	stash_flush_all(tls_heap);
	return stamp() - begin;
}

static void measure_free_own(void)
{
	allocate_blocks();
	record(FREE_OWN, free_blocks(), BLOCKS);
}

/* The partner's steps: first it makes blocks, later it takes them back. */
static _Atomic(unsigned) x_made;
static uint64_t drain_cycles;

static void make_once(void)
{
	if (load_rlx(&x_made))
		return;
	allocate_blocks();
	store_rlx(&x_made, 1);
}

static void drain_once(void)
{
	if (load_rlx(&x_made) != 1)
		return;
	uint64_t begin = stamp();
	while (heap_drain(tls_heap))
		;
	drain_cycles = stamp() - begin;
	store_rlx(&x_made, 2);
}

static void drain_always(void)
{
	heap_drain(tls_heap);
}

static const struct sending {
	size_t stash_bytes;
	enum row sent, drained, busy;
} sendings[] = {
	{0, FREE_SENT_1, DRAIN_1, FREE_BUSY_1},
	{8 * BLOCK_SIZE, FREE_SENT_8, DRAIN_8, FREE_BUSY_8},
	{64 * BLOCK_SIZE, FREE_SENT_64, DRAIN_64, FREE_BUSY_64},
};

/* The partner makes blocks; from here on they are sent as `s` says. */
static void prepare(const struct sending *s)
{
	store_rlx(&x_made, 0);
	partner_start(make_once);
	partner_stop();
	store_rlx(&options.x_stash_bytes, s->stash_bytes);
	tls_heap->stash_credit = BLOCKS + 1;
}

static void measure_sent(const struct sending *s)
{
	uint64_t before = load_rlx(&tls_heap->x_sent_blocks);
	prepare(s);
	record(s->sent, free_blocks(), BLOCKS);
	partner_start(drain_once);
	partner_stop();
	record(s->drained, drain_cycles, BLOCKS);
	prepare(s);
	beside(drain_always, free_blocks, s->busy, BLOCKS, 2);
	partner_start(drain_once);
	partner_stop();
	if (load_rlx(&tls_heap->x_sent_blocks) - before != 2 * BLOCKS)
		bench_die("%d blocks of another thread were freed, not all were sent", 2 * BLOCKS);
}

/* ---- Two lines of a descriptor ---- */

static struct page *_Atomic x_watched;

static void read_first(void)
{
	KEEP(load_rlx(&load_rlx(&x_watched)->x_owner));
}

static void read_second(void)
{
	KEEP((uintptr_t)load_rlx(&load_rlx(&x_watched)->x_used));
}

static uint64_t run_pairs(void)
{
	uint64_t begin = stamp();
	for (unsigned i = 0; i < BLOCKS; i++) {
		void *block = block_alloc(BLOCK_SIZE);
		KEEP(block);
		block_free(block);
	}
	return stamp() - begin;
}

static void measure_lines(void)
{
	void *block = block_alloc(BLOCK_SIZE);
	store_rlx(&x_watched, block_page(block));
	record(PAIR, run_pairs(), BLOCKS);
	if (has_partner) {
		if (beside(read_first, run_pairs, PAIR_FIRST, BLOCKS, BLOCKS / 10))
			record(READ_FIRST, partner_cycles(), partner_steps());
		if (beside(read_second, run_pairs, PAIR_SECOND, BLOCKS, BLOCKS / 10))
			record(READ_SECOND, partner_cycles(), partner_steps());
	}
	block_free(block);
}

/* ---- Pages without an owner ---- */

static struct page *pages[PAGES];
static struct block *loose[PAGES];
static unsigned page_class;

static struct block *pop(struct page *page)
{
	struct block *block = page->free;
	if (!block) {
		page_carve(page, false);
		block = page->free;
	}
	page->free = block->next;
	counter32_inc(&page->x_used);
	return block;
}

static void make_pages(void)
{
	page_class = class_of(SLICE_BYTES / 64);
	for (unsigned i = 0; i < PAGES; i++) {
		bool zero;
		pages[i] = span_claim(0, REGION_SPANS, class_slices(page_class), 1, &zero);
		if (!pages[i])
			bench_die("no memory for a page");
		page_init(pages[i], page_class, (uintptr_t)tls_heap, zero);
		pop(pages[i]); /* stays in use for good */
		loose[i] = pop(pages[i]);
		page_let_go(pages[i]);
	}
}

static uint64_t free_loose(void)
{
	struct heap *h = tls_heap;
	h->leaving = true; /* a page that was taken is not kept */
	uint64_t begin = stamp();
	for (unsigned i = 0; i < PAGES; i++)
		heap_free(h, pages[i], loose[i]);
	uint64_t cycles = stamp() - begin;
	h->leaving = false;
	for (unsigned i = 0; i < PAGES; i++) {
		if (!page_take(pages[i], (uintptr_t)h))
			bench_die("a page that nobody owns was not to be had");
		loose[i] = pop(pages[i]);
		page_let_go(pages[i]);
	}
	return cycles;
}

/* Once before, for the caches: the blocks of the other rows were just written, too. */
static void measure_nobody_free(void)
{
	free_loose();
	record(NOBODY_FREE, free_loose(), PAGES);
}

static void take_one(void)
{
	if (page_take(pages[0], (uintptr_t)tls_heap))
		page_let_go(pages[0]);
}

static uint64_t run_take(void)
{
	uint64_t begin = stamp();
	for (unsigned i = 0; i < PAIRS; i++)
		take_one();
	return stamp() - begin;
}

static void measure_take(void)
{
	record(TAKE, run_take(), PAIRS);
	uint64_t begin = stamp();
	for (unsigned i = 0; i < PAIRS; i++)
		page_let_go(page_take_partial(0, page_class, (uintptr_t)tls_heap));
	record(TAKE_PARTIAL, stamp() - begin, PAIRS);
	if (has_partner)
		beside(take_one, run_take, TAKE_TWO, PAIRS, PAIRS / 10);
}

/* ---- Spans ---- */

static struct page *spans[SPANS];

static uint64_t claim_spans(void)
{
	bool zero;
	uint64_t begin = stamp();
	for (unsigned i = 0; i < SPANS; i++)
		spans[i] = span_claim(0, REGION_SPANS, 1, 1, &zero);
	return stamp() - begin;
}

static uint64_t free_spans(void)
{
	uint64_t begin = stamp();
	for (unsigned i = 0; i < SPANS; i++)
		span_free(spans[i]);
	return stamp() - begin;
}

static uint64_t touch_spans(void)
{
	uint64_t begin = stamp();
	for (unsigned i = 0; i < SPANS; i++)
		bench_touch(spans[i]->start, SLICE_BYTES);
	return stamp() - begin;
}

static void span_pair(void)
{
	bool zero;
	span_free(span_claim(0, REGION_SPANS, 1, 1, &zero));
}

static uint64_t run_span_pairs(void)
{
	uint64_t begin = stamp();
	for (unsigned i = 0; i < PAIRS; i++)
		span_pair();
	return stamp() - begin;
}

static void measure_spans(void)
{
	pool_purge(0, SIZE_LIMIT, SPLIT_ALWAYS);
	record(CLAIM_CLEAN, claim_spans(), SPANS);
	record(TOUCH_CLEAN, touch_spans(), SPANS);
	record(SPAN_FREE, free_spans(), SPANS);
	record(CLAIM_DIRTY, claim_spans(), SPANS);
	record(TOUCH_DIRTY, touch_spans(), SPANS);
	free_spans();
	record(SPAN_PAIR, run_span_pairs(), PAIRS);
	if (has_partner)
		beside(span_pair, run_span_pairs, SPAN_PAIR_TWO, PAIRS, PAIRS / 10);
}

/* A whole granule, resident. */
static struct page *claim_written(void)
{
	bool zero;
	struct page *page = span_claim(0, REGION_SPANS, GRANULE_SLICES, 1, &zero);
	if (!page)
		bench_die("no memory for a granule");
	bench_touch(page->start, GRANULE_BYTES);
	return page;
}

static void measure_madvise(void)
{
	struct page *page = claim_written();
	uint64_t begin = stamp();
	os_purge(page->start, GRANULE_BYTES);
	record(MADVISE, stamp() - begin, GRANULE_SLICES);
	span_free(page);
	pool_purge(0, SIZE_LIMIT, SPLIT_ALWAYS);
}

static void measure_purge(void)
{
	span_free(claim_written());
	uint64_t begin = stamp();
	size_t bytes = pool_purge(0, SIZE_LIMIT, SPLIT_ALWAYS);
	record(PURGE, stamp() - begin, GRANULE_SLICES);
	if (bytes != GRANULE_BYTES)
		bench_die("%zu bytes were purged, %zu were freed", bytes, GRANULE_BYTES);
}

/* ---- Heaps ---- */

static void heap_pair(void)
{
	heap_put(heap_get(0, false));
}

static uint64_t run_heap_pairs(void)
{
	uint64_t begin = stamp();
	for (unsigned i = 0; i < PAIRS; i++)
		heap_pair();
	return stamp() - begin;
}

static void measure_heaps(void)
{
	record(HEAP, run_heap_pairs(), PAIRS);
	if (has_partner)
		beside(heap_pair, run_heap_pairs, HEAP_TWO, PAIRS, PAIRS / 10);
}

/* ---- From an address to its descriptor ---- */

static char *addresses[SLICES_MANY];
static uint64_t zero_word; /* unknown to the compiler, so that each look-up waits for the last */

static void make_addresses(void)
{
	struct rng rng = rng_stream(1);
	bool zero;
	for (unsigned i = 0; i < SLICES_MANY; i++) {
		struct page *page = span_claim(0, REGION_SPANS, 1, 1, &zero);
		if (!page)
			bench_die("no memory for a slice");
		*(volatile uint64_t *)page->start = 1;
		addresses[i] = page->start + rng_below(&rng, SLICE_BYTES / 16) * 16;
	}
	__asm__ volatile("" : "+m"(zero_word));
}

static ALWAYS_INLINE uint64_t by_map(char *p)
{
	return load_rlx(&map_slice(map_region(p), p)->x_owner);
}

static ALWAYS_INLINE uint64_t by_header(char *p)
{
	return *(volatile uint64_t *)align_down((uintptr_t)p, SLICE_BYTES);
}

/*
 * A full cycle through `count` addresses, a power of two, in scattered order.
 * Where to look depends on what was found before.
 */
static ALWAYS_INLINE uint64_t run_lookups(uint64_t (*read)(char *), size_t count, size_t times)
{
	size_t i = 0;
	uint64_t found = 0, begin = stamp();
	for (size_t n = 0; n < times; n++) {
		found = read(addresses[i] + (found & zero_word));
		i = (i * 1664525 + 1013904223) & (count - 1);
	}
	uint64_t cycles = stamp() - begin;
	KEEP(found);
	return cycles;
}

/* The first time fills the caches. */
static ALWAYS_INLINE void measure_lookup(uint64_t (*read)(char *), size_t count, enum row row)
{
	run_lookups(read, count, SLICES_MANY);
	record(row, run_lookups(read, count, SLICES_MANY), SLICES_MANY);
}

static void flush_descriptors(void)
{
	for (unsigned i = 0; i < FLUSHED; i++)
		__builtin_ia32_clflush(map_slice(map_region(addresses[i]), addresses[i]));
	__builtin_ia32_mfence();
}

static void measure_lookups(void)
{
	measure_lookup(by_map, 1, LOOKUP_ONE);
	measure_lookup(by_map, SLICES_FEW, LOOKUP_FEW);
	measure_lookup(by_map, SLICES_MANY, LOOKUP_MANY);
	measure_lookup(by_header, 1, HEADER_ONE);
	measure_lookup(by_header, SLICES_FEW, HEADER_FEW);
	measure_lookup(by_header, SLICES_MANY, HEADER_MANY);
	flush_descriptors();
	record(LOOKUP_FLUSHED, run_lookups(by_map, FLUSHED, FLUSHED), FLUSHED);
}

/* What is compared closely does not always come in the same order. */
static void run_round(uint64_t round)
{
	measure_free_own();
	for (uint64_t i = 0; has_partner && i < COUNT_OF(sendings); i++)
		measure_sent(&sendings[(i + round) % COUNT_OF(sendings)]);
	measure_lines();
	measure_nobody_free();
	measure_take();
	measure_spans();
	pool_purge(0, SIZE_LIMIT, SPLIT_ALWAYS);
	if (round % 2)
		measure_madvise();
	measure_purge();
	if (round % 2 == 0)
		measure_madvise();
	measure_heaps();
	measure_lookups();
}

int main(int argc, char **argv)
{
	const struct param params[] = {{"rounds", &rounds, "how often everything is measured"}};

	bench_args(argc, argv, params, COUNT_OF(params));
	if (rounds == 0 || rounds > 100000)
		bench_die("rounds must be 1 to 100000");
	rows_init(rounds);
	store_rlx(&options.x_purge_bytes, SIZE_LIMIT); /* nothing is purged but on purpose */
	has_partner = partner_init();
	block_free(block_alloc(BLOCK_SIZE)); /* this thread's heap */
	make_pages();
	make_addresses();
	for (uint64_t i = 0; i < rounds; i++) {
		run_round(i);
		next_round();
	}
	rows_print();
	return 0;
}
