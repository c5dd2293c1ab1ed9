/*
 * bench_scenario: the named scenarios. One operation is allocate, use, free;
 * use is one store per 4 KiB page, or (fill=1) the whole block written.
 *
 *   json    64 KiB,  1,000 operations, one block live
 *   mir     256 KiB, 10,000 operations (100 passes of 100), one block live
 *   vm      2 MiB,   1,000 operations (100 passes of 10), one block live
 *   mixed   64K 64K 64K 256K 256K 2M at random, 1,000 operations, 8 blocks live
 *   random  1 to 32 MiB at random, 200 operations, 4 blocks live
 *
 * live=N keeps N blocks, the oldest freed first. threads=2 has one thread
 * allocate and use, and another free, with at most `live` blocks (8) between
 * them, and once so many before the first is freed. period=N draws the same
 * sizes again after N operations, so that demand grows in the first pass only.
 *
 * limit=1 runs the same loop with no allocator: as many resident blocks as are
 * live, each page-aligned, used in the same way. What an allocator costs is
 * what it takes beyond that. Between two threads the limit reuses the block
 * that came back last.
 */
#define _GNU_SOURCE
#include "common.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#define KIB 1024u
#define MIB (1024u * KIB)
#define MAX_LIVE 64u
#define RING_SLOTS (2 * MAX_LIVE)
#define HAND_OVER_LIVE 8u

struct scenario {
	const char *name;
	uint32_t sizes[6];
	uint32_t size_count; /* 0: pages from the first to the second size, all equally likely */
	uint32_t live;
	uint32_t pass; /* operations of the first pass, left out of the steady time */
	uint64_t ops;
};

static const struct scenario scenarios[] = {
	{"json", {64 * KIB}, 1, 1, 100, 1000},
	{"mir", {256 * KIB}, 1, 1, 100, 10000},
	{"vm", {2 * MIB}, 1, 1, 10, 1000},
	{"mixed", {64 * KIB, 64 * KIB, 64 * KIB, 256 * KIB, 256 * KIB, 2 * MIB}, 6, 8, 100, 1000},
	{"random", {1 * MIB, 32 * MIB}, 0, 4, 40, 200},
};

static const struct scenario *scenario;
static uint64_t which;
static uint64_t fill;
static uint64_t limit;
static uint64_t ops;
static uint64_t pass;
static uint64_t live;
static uint64_t period;
static struct rng sizes;
static unsigned char *resident[MAX_LIVE + 2];

static inline void use(void *block, size_t size)
{
	if (fill)
		memset(block, (int)(size >> 16), size);
	else
		bench_touch(block, size);
	KEEP(block);
}

static inline void *take(uint32_t slot, size_t size)
{
	return limit ? resident[slot] : bench_alloc(size);
}

static inline void give_back(void *block)
{
	KEEP(block);
	if (!limit)
		free(block);
}

/* The size of operation `i`; after a period they come in the same order again. */
static inline size_t draw_size(uint64_t i)
{
	if (scenario->size_count == 1)
		return scenario->sizes[0];
	if (!i || (period && i % period == 0))
		sizes = rng_stream(0);
	if (scenario->size_count)
		return scenario->sizes[rng_below(&sizes, scenario->size_count)];
	return scenario->sizes[0] +
	       (size_t)PAGE_BYTES *
		       rng_below(
			       &sizes, (scenario->sizes[1] - scenario->sizes[0]) / PAGE_BYTES + 1);
}

/* ---- One thread ---- */

static void *held[MAX_LIVE];

static void run_ops(uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++) {
		uint32_t slot = (uint32_t)(i % live);
		size_t size = draw_size(i);

		if (live > 1 && held[slot])
			give_back(held[slot]);
		held[slot] = take(slot, size);
		use(held[slot], size);
		if (live == 1)
			give_back(held[slot]);
	}
}

/* ---- Two threads ---- */

/* One thread puts, another gets. */
struct ring {
	_Atomic uint64_t head __attribute__((aligned(64)));
	_Atomic uint64_t tail __attribute__((aligned(64)));
	void *slots[RING_SLOTS];
};

static struct ring handed;   /* blocks to be freed, at most `live` */
static struct ring returned; /* limit: blocks that came back */

/*
 * Binds the calling thread to the first or second processor that the process
 * may use: until the kernel has found out that the two should not share one,
 * a run would be over.
 */
static void take_processor(int place)
{
	cpu_set_t all, one;

	if (pthread_getaffinity_np(pthread_self(), sizeof(all), &all) || CPU_COUNT(&all) < 2)
		return;
	for (int cpu = 0, seen = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all) || seen++ != place)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
	}
}

/* Both threads have a processor of their own as a rule; a system call now and then where not. */
static inline void wait_a_little(unsigned *turns)
{
	if (++*turns % 4096)
		__builtin_ia32_pause();
	else
		sched_yield();
}

static inline void ring_put(struct ring *ring, void *block, uint64_t most)
{
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	unsigned turns = 0;

	while (tail - atomic_load_explicit(&ring->head, memory_order_acquire) >= most)
		wait_a_little(&turns);
	ring->slots[tail % RING_SLOTS] = block;
	atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
}

static inline void *ring_get(struct ring *ring, int wait)
{
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	unsigned turns = 0;
	void *block;

	while (atomic_load_explicit(&ring->tail, memory_order_acquire) == head) {
		if (!wait)
			return NULL;
		wait_a_little(&turns);
	}
	block = ring->slots[head % RING_SLOTS];
	atomic_store_explicit(&ring->head, head + 1, memory_order_release);
	return block;
}

/* The block that came back last: a stack that only the producer sees. */
static void *take_returned(void)
{
	static void *stack[RING_SLOTS];
	static unsigned depth;
	void *block;

	while ((block = ring_get(&returned, 0)))
		stack[depth++] = block;
	return depth ? stack[--depth] : ring_get(&returned, 1);
}

static void produce(uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++) {
		size_t size = draw_size(i);
		void *block = limit ? take_returned() : bench_alloc(size);

		use(block, size);
		ring_put(&handed, block, live);
	}
}

static void *consume(void *unused)
{
	unsigned turns = 0;

	(void)unused;
	take_processor(1);
	while (atomic_load_explicit(&handed.tail, memory_order_relaxed) <
		(live < pass ? live : pass))
		wait_a_little(&turns);
	for (uint64_t i = 0; i < ops; i++) {
		void *block = ring_get(&handed, 1);

		give_back(block);
		if (limit)
			ring_put(&returned, block, RING_SLOTS);
	}
	return NULL;
}

/* ---- Measuring ---- */

static void make_resident(void)
{
	size_t bytes = scenario->sizes[scenario->size_count ? scenario->size_count - 1 : 1];
	size_t count = live + (bench_threads > 1 ? 2 : 0);

	for (size_t i = 0; i < count; i++) {
		resident[i] = bench_map_resident(bytes);
		if (bench_threads > 1)
			ring_put(&returned, resident[i], RING_SLOTS);
	}
}

struct phase {
	uint64_t ns;
	uint64_t faults;
};

static struct phase now(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (struct phase){now_ns(), (uint64_t)usage.ru_minflt};
}

/* The steady part; between two threads it ends when the last block has been freed. */
static struct phase run_steady(void)
{
	struct phase start = now(), end;

	if (bench_threads == 1) {
		run_ops(pass, ops);
		end.ns = now_ns() - start.ns;
	} else {
		unsigned turns = 0;

		produce(pass, ops);
		while (atomic_load_explicit(&handed.head, memory_order_acquire) != ops)
			wait_a_little(&turns);
		end.ns = now_ns() - start.ns;
	}
	end.faults = now().faults - start.faults;
	return end;
}

static void set_up(void)
{
	if (which >= COUNT_OF(scenarios))
		bench_die("which must be from 0 to %zu", COUNT_OF(scenarios) - 1);
	scenario = &scenarios[which];
	if (!ops)
		ops = scenario->ops;
	if (!pass)
		pass = scenario->pass;
	if (!live)
		live = bench_threads > 1 ? HAND_OVER_LIVE : scenario->live;
	if (ops <= pass)
		bench_die("ops must be more than the first pass of %llu", (unsigned long long)pass);
	if (live > MAX_LIVE || bench_threads > 2)
		bench_die("at most %u blocks live and 2 threads", MAX_LIVE);
	if (limit)
		make_resident();
}

int main(int argc, char **argv)
{
	const struct param params[] = {
		{"which", &which, "0 json, 1 mir, 2 vm, 3 mixed, 4 random"},
		{"fill", &fill, "1: write the whole block"},
		{"limit", &limit, "1: no allocator, resident blocks"},
		{"ops", &ops, "operations, 0: the scenario's number"},
		{"pass", &pass, "of these in the first pass, 0: the scenario's number"},
		{"live", &live, "blocks live, 0: the scenario's number"},
		{"period", &period, "operations after which the sizes repeat, 0: never"},
	};
	struct phase cold, steady;
	struct measure measure;
	pthread_t consumer;

	bench_args(argc, argv, params, COUNT_OF(params));
	set_up();
	if (bench_threads > 1) {
		if (pthread_create(&consumer, NULL, consume, NULL))
			bench_die("pthread_create failed");
		take_processor(0);
	}
	measure_begin(&measure);
	cold = now();
	if (bench_threads == 1)
		run_ops(0, pass);
	else
		produce(0, pass);
	cold = (struct phase){now_ns() - cold.ns, now().faults - cold.faults};
	steady = run_steady();
	for (uint64_t i = 0; live > 1 && bench_threads == 1 && i < live; i++)
		give_back(held[i]);
	measure_end(&measure);
	if (bench_threads > 1)
		pthread_join(consumer, NULL);
	measure_print(scenario->name, ops, &measure,
		"fill=%llu limit=%llu steady_ns=%llu steady_ops=%llu steady_wall_ns=%llu "
		"steady_minflt=%llu cold_ops=%llu cold_wall_ns=%llu cold_minflt=%llu",
		(unsigned long long)fill, (unsigned long long)limit,
		(unsigned long long)(steady.ns / (ops - pass)), (unsigned long long)(ops - pass),
		(unsigned long long)steady.ns, (unsigned long long)steady.faults,
		(unsigned long long)pass, (unsigned long long)cold.ns,
		(unsigned long long)cold.faults);
	return 0;
}
