/*
 * leases.c: [L1] [L2] [L3], and the inbox of a hak_heap. Threads lease its heaps to
 * allocate, and send it blocks that others may have to free. Nobody else is in a heap
 * that is leased, and no block is left in the inbox of one that is not.
 */
#include "models.h"

#include "segments/map.h"
#include "segments/page.h"
#include "tls/first_class.h"
#include "tls/heap.h"
#include "tls/thread.h"

#define SIZE 256

static struct hak_heap *set;
static struct heap *leased, *own[MODEL_THREADS];
static void *blocks[2];

/* The heap of the running thread. */
static void have(struct heap *h)
{
	tls_heap = tls_home = h;
}

static void *alloc(void)
{
	return first_class_alloc(set, SIZE, BLOCK_ALIGN, false);
}

static void ignore(struct region *r)
{
	model_ignore(&nodes[0].x_dirty_bytes, sizeof nodes[0].x_dirty_bytes);
	/* What the models of slices, pages and heaps look at. */
	model_trust(r, sizeof *r);
	model_trust(nodes[0].x_heaps, sizeof nodes[0].x_heaps);
	for (unsigned i = 0; i < heap_count(); i++) {
		struct heap *h = heap_at(i);
		model_ignore(&h->x_sent_bytes, sizeof(counter64) * 7);
		model_ignore(h->stash, sizeof h->stash);
	}
}

static void begin(void)
{
	struct region *r = model_region(REGION_SPANS);
	for (unsigned i = 1; i <= 3; i++)
		own[i] = heap_get(0, false);
	have(own[1]);
	set = first_class_create(0);
	MODEL_CHECK(set, "no hak_heap");
	leased = load_rlx(&set->x_heaps[0]);
	for (unsigned i = 0; i < 2; i++)
		blocks[i] = alloc();
	have(&heap_none);
	ignore(r);
}

/* So many heaps of the set are in use by others; and so many there are that are free. */
static void begin_leased(unsigned count, unsigned spare)
{
	begin();
	have(own[1]);
	for (unsigned i = 0; i < count; i++) {
		if (i > 0)
			alloc();
		MODEL_CHECK(lease_try(load_rlx(&set->x_heaps[i])), "a heap is in use");
	}
	have(&heap_none);
	struct heap *free[2];
	for (unsigned i = 0; i < spare; i++)
		free[i] = heap_get(0, true);
	for (unsigned i = 0; i < spare; i++)
		heap_put(free[i]);
	ignore(load_rlx(&nodes[0].x_regions[REGION_SPANS]));
}

static void first_leased(void)
{
	begin_leased(1, 0);
}

static void all_leased(void)
{
	begin_leased(LEASES, 2);
}

static void send(unsigned i)
{
	struct block *block = blocks[i];
	heap_free(own[model_self()], block_page(block), block);
}

static void send_first(void)
{
	send(0);
}

static void send_second(void)
{
	send(1);
}

static void allocate(void)
{
	have(own[model_self()]);
	uint64_t *block = alloc();
	MODEL_CHECK(block, "no block");
	*block = 1;
}

/* As an allocation does that comes to the first heap. */
static void use(void)
{
	if (!lease_try(leased))
		return;
	leased->slow_frees++;
	lease_end(leased);
}

static void check(void)
{
	for (unsigned i = 0; i < LEASES; i++) {
		struct heap *h = load_rlx(&set->x_heaps[i]);
		if (!h)
			continue;
		MODEL_CHECK(load_rlx(&h->x_lease) == 0, "a lease was not ended");
		MODEL_CHECK(inbox_is_empty(&h->inbox) && !h->pending,
			"blocks are left that nobody will free");
	}
}

const struct scenario leases_scenarios[] = {
	{.model = "leases",
		.proves = "L1 L2* L3",
		.name = "two use it",
		.setup = begin,
		.thread = {use, use},
		.check = check},
	{.model = "leases",
		.name = "one uses it, one sends",
		.setup = begin,
		.thread = {use, send_first},
		.check = check},
	{.model = "leases",
		.name = "two send",
		.setup = begin,
		.thread = {send_first, send_second},
		.check = check},
	{.model = "leases",
		.name = "two allocate",
		.setup = begin,
		.thread = {allocate, allocate},
		.check = check},
	{.model = "leases",
		.name = "two allocate where a heap is missing",
		.setup = first_leased,
		.thread = {allocate, allocate}},
	{.model = "leases",
		.name = "two allocate where the set is full",
		.setup = all_leased,
		.thread = {allocate, allocate}},
	{.model = "leases",
		.name = "one allocates, one sends",
		.setup = begin,
		.thread = {allocate, send_first},
		.check = check},
	{.model = NULL},
};
