/*
 * heaps.c: [H1] [C1] the stack of free heaps and the chunks they lie in; [F2] heaps
 * that leave while others send them blocks, and are had again; [L1] [L2] [L3] those of
 * a hak_heap, that threads lease.
 */
#include "models.h"

#include "segments/map.h"
#include "segments/page.h"
#include "tls/first_class.h"
#include "tls/heap.h"

static struct heap *heaps[MODEL_THREADS];
static void *blocks[2];

static void ignore_heap(struct heap *h)
{
	model_ignore(&h->x_sent_bytes, sizeof(counter64) * 7);
	model_ignore(h->stash, sizeof h->stash);
}

static struct heap *get(void)
{
	struct heap *h = heap_get(0, false);
	MODEL_CHECK(h, "no heap");
	return h;
}

/* ---- The stack ---------------------------------------------------------------- */

/* Three heaps that were used, and so many of them are on the stack. */
static void begin_stack(unsigned on_stack)
{
	for (unsigned i = 1; i <= 3; i++) {
		heaps[i] = get();
		ignore_heap(heaps[i]);
		model_ignore(&heaps[i]->x_state, sizeof heaps[i]->x_state);
		model_ignore(&heaps[i]->inbox, sizeof heaps[i]->inbox);
	}
	for (unsigned i = on_stack; i > 0; i--)
		heap_put(heaps[i]);
}

static void two_on_stack(void)
{
	begin_stack(2);
}

static void one_on_stack(void)
{
	begin_stack(1);
}

static void all_on_stack(void)
{
	begin_stack(3);
}

/* Plain accesses by whoever has it. */
static void use(struct heap *h)
{
	h->slow_frees++;
}

static void get_and_put(void)
{
	struct heap *h = get();
	use(h);
	heap_put(h);
}

static void get_and_keep(void)
{
	use(get());
}

static void get_two_put_first(void)
{
	struct heap *first = get(), *second = get();
	use(first);
	use(second);
	heap_put(first);
}

static void put_mine(void)
{
	struct heap *h = heaps[model_self() + 1];
	use(h);
	heap_put(h);
}

/* No heap is on the stack twice, and none is lost. */
static void check_stack(void)
{
	unsigned free = 0, on_stack = 0;
	for (unsigned i = 0; i < heap_count(); i++)
		free += load_rlx(&heap_at(i)->x_state) == HEAP_FREE;
	for (uint32_t i = (uint32_t)load_rlx(&nodes[0].x_heaps[0]); i;
		i = load_rlx(&heap_at(i - 1)->x_next_free))
		MODEL_CHECK(++on_stack <= free && load_rlx(&heap_at(i - 1)->x_state) == HEAP_FREE,
			"a heap that is in use is on the stack, or one is there twice");
	MODEL_CHECK(on_stack == free, "%u heaps are free, %u on the stack", free, on_stack);
}

/* ---- Chunks of heaps ------------------------------------------------------------ */

static void nothing(void)
{
}

static void make_heap(void)
{
	use(get());
}

/* As statistics do. */
static void look_at_heaps(void)
{
	for (unsigned i = 0; i < heap_count(); i++) {
		struct heap *h = heap_at(i);
		if (h)
			load_rlx(&h->x_state);
	}
}

/* ---- Leaving ------------------------------------------------------------------- */

#define CLASS class_of(256)

/* Heap 1 has handed two blocks of a page to others, who have heaps 2 and 3, and stashed them. */
static void begin_leave_with(bool stashed)
{
	bool zero;
	struct region *r = model_region(REGION_SPANS);
	for (unsigned i = 1; i <= 3; i++) {
		heaps[i] = get();
		ignore_heap(heaps[i]);
	}
	for (unsigned i = 0; i < 2; i++)
		blocks[i] = heap_alloc_small(heaps[1], CLASS, &zero);
	for (unsigned i = 0; stashed && i < 2; i++)
		heap_free(heaps[i + 2], block_page(blocks[i]), blocks[i]);
	/* What the model of pages looks at. */
	model_trust(r->x_partial, sizeof r->x_partial);
	model_trust(r->x_partial_words, sizeof r->x_partial_words);
	model_trust(r->x_untrimmed, sizeof r->x_untrimmed);
	model_ignore(&nodes[0].x_untrimmed, sizeof nodes[0].x_untrimmed);
	model_ignore(nodes[0].x_partial, sizeof nodes[0].x_partial);
	model_ignore(&nodes[0].x_dirty_bytes, sizeof nodes[0].x_dirty_bytes);
	model_ignore(&r->x_room, sizeof r->x_room);
}

static void begin_leave(void)
{
	begin_leave_with(true);
}

/* Nobody owns the page, and the blocks are still in use. */
static void begin_ownerless(void)
{
	begin_leave_with(false);
	heap_flush(heaps[1]);
	/* The next one lies in another chunk. */
	while (heap_count() % HEAPS_PER_CHUNK)
		get();
}

static void leave(void)
{
	heap_put(heaps[1]);
}

static void send(void)
{
	stash_flush_all(heaps[model_self()]);
}

/* Sends, and leaves too: what it may have inherited goes. */
static void send_and_leave(void)
{
	heap_put(heaps[model_self()]);
}

static void have_again(void)
{
	struct heap *h = get();
	heap_drain_all(h);
	use(h);
}

static void have_again_and_leave(void)
{
	heap_put(get());
}

/* Frees into the page that nobody owns: it is this thread's then, and its heap is new. */
static void take_over(void)
{
	struct heap *h = get();
	heap_free(h, block_page(blocks[0]), blocks[0]);
}

static void free_and_send(void)
{
	struct heap *h = heaps[model_self()];
	heap_free(h, block_page(blocks[1]), blocks[1]);
	stash_flush_all(h);
}

static void check_left(void)
{
	struct page *page = block_page(blocks[0]);
	for (unsigned i = 0; i < heap_count(); i++) {
		struct heap *h = heap_at(i);
		MODEL_CHECK(load_rlx(&h->x_state) != HEAP_FREE ||
				    (inbox_is_empty(&h->inbox) && !h->pending),
			"blocks are left in the inbox of a free heap");
	}
	/* Those who send first. */
	for (unsigned i = heap_count(); i-- > 0;)
		if (load_rlx(&heap_at(i)->x_state) == HEAP_LIVE)
			heap_flush(heap_at(i));
	MODEL_CHECK(page_owner(page) == OWNER_NONE, "a block is lost: %u are in use",
		load_rlx(&page->x_used));
}

const struct scenario heaps_scenarios[] = {
	{.model = "heaps",
		.proves = "H1 C1",
		.name = "two get and put, two are there",
		.setup = two_on_stack,
		.thread = {get_and_put, get_and_put},
		.check = check_stack},
	{.model = "heaps",
		.name = "one gets, one puts",
		.setup = one_on_stack,
		.thread = {put_mine, get_and_keep},
		.check = check_stack},
	{.model = "heaps",
		.name = "the top is had again while one looks at it",
		.setup = all_on_stack,
		.thread = {get_and_keep, get_two_put_first},
		.check = check_stack},
	{.model = "heaps",
		.name = "two make heaps, one looks at all",
		.setup = nothing,
		.thread = {make_heap, make_heap, look_at_heaps}},
	{.model = "leave",
		.proves = "F2* P3",
		.name = "one leaves, one sends",
		.setup = begin_leave,
		.thread = {leave, send},
		.check = check_left},
	{.model = "leave",
		.name = "one leaves, two send",
		.setup = begin_leave,
		.thread = {leave, send, send},
		.check = check_left},
	{.model = "leave",
		.name = "one leaves, one sends, one has it again",
		.setup = begin_leave,
		.thread = {leave, send, have_again},
		.check = check_left},
	{.model = "leave",
		.name = "one leaves, one sends, one has it again and leaves",
		.setup = begin_leave,
		.thread = {leave, send, have_again_and_leave},
		.check = check_left},
	{.model = "leave",
		.name = "one takes the page over, one sends",
		.setup = begin_ownerless,
		.thread = {take_over, free_and_send},
		.check = check_left},
	{.model = "leave",
		.name = "two leave, of which one sends",
		.setup = begin_leave,
		.thread = {leave, send_and_leave},
		.check = check_left},
	{.model = NULL},
};
