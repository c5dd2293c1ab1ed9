/*
 * bench_numa: on which nodes malloc's pages lie, and what a block costs, on a machine with several
 * nodes. The kernel is asked where each page of the live blocks is.
 *
 *   test=0 local      threads on all nodes, each with blocks of its own
 *   test=1 crossfree  the same, but each frees what a thread of the next node has allocated
 *   test=2 producer   a thread of each node allocates, one of the next node reads and frees
 *   test=3 migrate    one thread that goes to the next node in every round
 *   test=4 spread     as local; how even the pages lie over all nodes, for interleave
 *   test=5 last       as local; the share of the last node, for membind
 *
 * Prints "share PERCENT ns TIME": pages in the right place, and time per block.
 */
#define _GNU_SOURCE
#include "common.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { NODES = 64, BATCH = 512, PER_NODE = 2, THREADS = NODES * PER_NODE };
enum test { LOCAL, CROSSFREE, PRODUCER, MIGRATE, SPREAD, LAST, TESTS };

static uint64_t test, rounds = 4, live_mib = 8;
static unsigned nodes;
static int os_of[NODES];
static cpu_set_t cpus_of[NODES];

struct share {
	_Alignas(64) uint64_t on[NODES];
	uint64_t right, all, blocks;
	double seconds;
};
static struct share shares[THREADS];

struct block {
	struct block *_Atomic next;
	size_t bytes;
};
static struct block *_Atomic handed[THREADS];
static _Atomic unsigned producers;
static pthread_barrier_t step;

static void find_nodes(void)
{
	cpu_set_t allowed;
	unsigned os;

	sched_getaffinity(0, sizeof allowed, &allowed);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		cpu_set_t one;
		unsigned n = 0;

		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (!CPU_ISSET(cpu, &allowed) || sched_setaffinity(0, sizeof one, &one) != 0)
			continue;
		getcpu(NULL, &os);
		while (n < nodes && os_of[n] != (int)os)
			n++;
		if (n == NODES)
			continue;
		if (n == nodes)
			os_of[nodes++] = (int)os;
		CPU_SET(cpu, &cpus_of[n]);
	}
	sched_setaffinity(0, sizeof allowed, &allowed);
}

static void go_to(unsigned node)
{
	unsigned os;

	if (sched_setaffinity(0, sizeof cpus_of[node], &cpus_of[node]) != 0)
		bench_die("no processor of node %d", os_of[node]);
	while (getcpu(NULL, &os) == 0 && (int)os != os_of[node])
		sched_yield();
}

static void ask(struct share *s, void **pages, size_t count, int right)
{
	int on[BATCH];

	if (syscall(SYS_move_pages, 0, count, pages, NULL, on, 0) != 0)
		bench_die("move_pages: %s", strerror(errno));
	for (size_t i = 0; i < count; i++) {
		s->all++;
		s->right += on[i] == right;
		if (on[i] >= 0 && on[i] < NODES)
			s->on[on[i]]++;
	}
}

/* Each page of each block: one that two blocks share counts twice, for every malloc alike. */
static void count(struct share *s, struct block *list, int right)
{
	void *pages[BATCH];
	size_t n = 0;

	for (; list; list = list->next)
		for (size_t at = 0; at < list->bytes; at += PAGE_BYTES) {
			pages[n++] = (void *)(((uintptr_t)list + at) & -(uintptr_t)PAGE_BYTES);
			if (n == BATCH) {
				ask(s, pages, n, right);
				n = 0;
			}
		}
	ask(s, pages, n, right);
}

static struct block *take(struct rng *rng)
{
	size_t bytes = rng_log(rng, sizeof(struct block), 256 * 1024);
	struct block *b = bench_alloc(bytes);

	for (size_t at = 0; at < bytes; at += PAGE_BYTES)
		((volatile char *)b)[at] = 1;
	b->bytes = bytes;
	b->next = NULL;
	return b;
}

static struct block *fill(struct rng *rng, struct share *s)
{
	struct block *list = NULL;

	for (size_t got = 0; got < live_mib << 20; s->blocks++) {
		struct block *b = take(rng);

		b->next = list;
		list = b;
		got += b->bytes;
	}
	return list;
}

static void drop(struct block *list)
{
	while (list) {
		struct block *next = list->next;

		free(list);
		list = next;
	}
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* All tests but the producer's: fill, ask, hand over or keep, free. */
static void work(unsigned i)
{
	struct share *s = &shares[i];
	struct rng rng = rng_stream(i);
	unsigned others = test == MIGRATE ? 1 : nodes * PER_NODE;

	for (unsigned round = 0; round < rounds; round++) {
		unsigned node = (test == MIGRATE ? round : i) % nodes;

		go_to(node);
		double begin = now();
		struct block *list = fill(&rng, s);

		s->seconds += now() - begin;
		count(s, list, os_of[test == LAST ? nodes - 1 : node]);
		if (test == CROSSFREE) {
			handed[i] = list;
			pthread_barrier_wait(&step);
			list = atomic_exchange(&handed[(i + 1) % others], NULL);
		}
		begin = now();
		drop(list);
		s->seconds += now() - begin;
		if (test == CROSSFREE)
			pthread_barrier_wait(&step);
	}
}

/* Even threads produce on their node; the next one consumes on the node after. */
static void produce(unsigned i)
{
	struct share *s = &shares[i];
	struct rng rng = rng_stream(i);
	double begin = now();

	go_to(i / 2 % nodes);
	for (unsigned round = 0; round < rounds; round++)
		for (size_t got = 0; got < live_mib << 20; s->blocks++) {
			struct block *b = take(&rng), *head;

			got += b->bytes;
			if (s->blocks % 16 == 0) {
				void *page = (void *)((uintptr_t)b & -(uintptr_t)PAGE_BYTES);

				ask(s, &page, 1, os_of[i / 2 % nodes]);
			}
			head = handed[i];
			do
				b->next = head;
			while (!atomic_compare_exchange_weak(&handed[i], &head, b));
		}
	s->seconds = now() - begin;
	atomic_fetch_sub(&producers, 1);
}

static void consume(unsigned i)
{
	go_to((i / 2 + 1) % nodes);
	while (producers || handed[i - 1]) {
		struct block *list = atomic_exchange(&handed[i - 1], NULL);

		if (!list)
			sched_yield();
		drop(list);
	}
}

static void *body(void *argument)
{
	unsigned i = (unsigned)(uintptr_t)argument;

	if (test != PRODUCER)
		work(i);
	else if (i % 2)
		consume(i);
	else
		produce(i);
	return NULL;
}

static void print(unsigned threads)
{
	struct share sum = {.all = 0};
	double least = 1e18;

	for (unsigned i = 0; i < threads; i++) {
		sum.right += shares[i].right;
		sum.all += shares[i].all;
		sum.blocks += shares[i].blocks;
		sum.seconds += shares[i].seconds;
		for (unsigned os = 0; os < NODES; os++)
			sum.on[os] += shares[i].on[os];
	}
	for (unsigned n = 0; n < nodes; n++)
		if ((double)sum.on[os_of[n]] < least)
			least = (double)sum.on[os_of[n]];
	double right = test == SPREAD ? least * nodes : (double)sum.right;

	printf("share %.1f ns %.0f\n", 100 * right / (double)sum.all,
		1e9 * sum.seconds / (double)sum.blocks);
}

int main(int argc, char **argv)
{
	static const struct param params[] = {
		{"test", &test, "what to do: 0 to 5, as listed at the top of bench_numa.c"},
		{"rounds", &rounds, "how often everything is allocated and freed"},
		{"live", &live_mib, "MiB of each thread"},
	};
	pthread_t thread[THREADS];
	unsigned threads;

	bench_args(argc, argv, params, COUNT_OF(params));
	if (test >= TESTS)
		bench_die("test=%d: there are %d", (int)test, TESTS);
	find_nodes();
	threads = test == MIGRATE ? 1 : nodes * PER_NODE;
	producers = threads / 2;
	pthread_barrier_init(&step, NULL, threads);
	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, body, (void *)(uintptr_t)i) != 0)
			bench_die("pthread_create failed");
	for (unsigned i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	print(threads);
	return 0;
}
