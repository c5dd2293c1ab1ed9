/*
 * tables.c: the table of call sites, and what is published once, or now and then: [M1] [R1] regions, [N1] the
 * topology, [U1] liburcu's functions, [K1] the pthread key, [B1] records of threads that
 * begin. Whoever finds it sees it whole.
 */
#include "models.h"

#include "base/rcu.h"
#include "numa/topology.h"
#include "policy/site.h"
#include "segments/granule.h"
#include "segments/map.h"
#include "segments/region.h"
#include "segments/span.h"
#include "tls/thread.h"

/* The functions that take and drop a record are its own. */
#include "api/threads.c"

/* ---- Regions ------------------------------------------------------------------ */

static char *window;

static void one_window(void)
{
	window = model_memory(REGION_BYTES, REGION_BYTES);
}

static void make_window(void)
{
	struct region *r = region_window(window, 0);
	MODEL_CHECK(r && r->base == (uintptr_t)window, "the window has another address");
}

/* As a free of an address that is not ours does. */
static void find_window(void)
{
	struct region *r = map_region(window);
	MODEL_CHECK(!r || r->base == (uintptr_t)window, "the window has another address");
}

static void no_region(void)
{
	model_ignore_statistics();
	model_ignore(&nodes[0].x_dirty_bytes, sizeof nodes[0].x_dirty_bytes);
}

static void grow(void)
{
	MODEL_CHECK(region_grow(0, REGION_SPANS, 1), "no region");
}

static void grow_whales(void)
{
	MODEL_CHECK(region_grow(0, REGION_WHALES, 1), "no region");
}

static void claim_granule(void)
{
	bool zero;
	char *granule = granules_claim(0, REGION_WHALES, 1, 1, &zero);
	MODEL_CHECK(granule && zero, "no granule, though memory is not refused");
}

static void claim(void)
{
	bool zero;
	struct page *page = span_claim(0, REGION_SPANS, 1, 1, &zero);
	MODEL_CHECK(page && zero, "no span, though memory is not refused");
	page->site = 1;
}

/* Every region is on the list once. */
static void check_list(void)
{
	size_t listed = 0, made = load_rlx(&nodes[0].x_reserved) / REGION_BYTES;
	for (unsigned kind = 0; kind < REGION_KINDS; kind++)
		for (struct region *r = load_rlx(&nodes[0].x_regions[kind]); r;
			r = load_rlx(&r->x_next))
			listed++;
	MODEL_CHECK(listed == made, "%zu regions are listed, %zu were made", listed, made);
}

/* ---- The topology -------------------------------------------------------------- */

static struct topology *topologies[2];

static void begin_topology(bool rcu)
{
	model_refuse_library(!rcu);
	for (unsigned i = 0; i < 2; i++) {
		topologies[i] = topology_new();
		topologies[i]->count = i + 2;
		topologies[i]->deserted = i + 2;
	}
	rcu_start();
	if (rcu)
		topology_replace(topologies[0]);
}

static void with_rcu(void)
{
	begin_topology(true);
}

static void without_rcu(void)
{
	begin_topology(false);
}

static void replace_both(void)
{
	topology_replace(topologies[1]);
	struct topology *t = topology_new();
	t->count = t->deserted = 4;
	topology_replace(t);
}

static void read_topology(void)
{
	rcu_thread_start();
	struct topology_view v = topology_begin();
	MODEL_CHECK(!v.t || v.t->count == v.t->deserted, "a topology that is not whole");
	topology_end(v);
}

/* ---- liburcu, the key, and records ---------------------------------------------- */

static void start_rcu(void)
{
	rcu_start();
}

static void use_rcu(void)
{
	rcu_thread_start();
	if (rcu_read_begin())
		rcu_read_end();
	rcu_wait();
}

static struct heap *registered;

static void one_heap(void)
{
	registered = heap_get(0, false);
}

static void make_key(void)
{
	thread_init();
}

static void use_key(void)
{
	thread_init();
	thread_register(registered);
}

static struct begin *record;

static void *run_thread(void *argument)
{
	return argument;
}

static void one_record(void)
{
	/* All but one are in use. */
	for (unsigned i = 1; i < BEGINS; i++)
		store_rlx(&begins[i].x_taken, 1);
	record = begin_take();
	record->posix = run_thread;
}

static void begin_thread(void)
{
	begin_posix(record);
}

static void create_thread(void)
{
	struct begin *b = begin_take();
	if (b)
		b->argument = b;
}

/* ---- Call sites ------------------------------------------------------------------ */

static unsigned numbers[MODEL_THREADS];

static void nothing(void)
{
}

static void same_caller(void)
{
	numbers[model_self()] = site_alloc(0x1234);
}

static void other_caller(void)
{
	numbers[model_self()] = site_alloc(0x5678);
}

static void check_sites(void)
{
	MODEL_CHECK(numbers[1] == numbers[2], "one caller has two sites");
	MODEL_CHECK(numbers[1] != numbers[3], "two callers have one site");
}

#define SCENARIO(m, n, p, s, ...)                                                                  \
	{                                                                                          \
		.model = m, .name = n, .proves = p, .setup = s, .thread = {__VA_ARGS__},           \
	}

const struct scenario tables_scenarios[] = {
	SCENARIO("regions", "two make a window, one looks", "M1 R1", one_window, make_window,
		make_window, find_window),
	{.model = "regions",
		.name = "two make a region of whales",
		.setup = no_region,
		.thread = {grow_whales, grow_whales},
		.check = check_list},
	{.model = "regions",
		.name = "one makes a region of whales, one claims",
		.setup = no_region,
		.thread = {grow_whales, claim_granule},
		.check = check_list},
	{.model = "regions",
		.name = "one makes a region of spans, one claims",
		.setup = no_region,
		.thread = {grow, claim},
		.check = check_list,
		.most = 10000},
	SCENARIO("topology", "two are replaced while one reads", "N1", with_rcu, replace_both,
		read_topology),
	SCENARIO("topology", "two are replaced while two read", NULL, with_rcu, replace_both,
		read_topology, read_topology),
	SCENARIO("topology", "two are replaced, for good", NULL, without_rcu, replace_both,
		read_topology, read_topology),
	SCENARIO("begin", "two start RCU, one uses it", "U1 K1 B1", NULL, start_rcu, use_rcu,
		use_rcu),
	SCENARIO("begin", "one makes the key, two register", NULL, one_heap, make_key, use_key),
	SCENARIO("begin", "a thread begins while others create some", NULL, one_record,
		begin_thread, create_thread, create_thread),
	{.model = "sites",
		.name = "two of one caller, one of another",
		.setup = nothing,
		.thread = {same_caller, same_caller, other_caller},
		.check = check_sites},
	{.model = NULL},
};
