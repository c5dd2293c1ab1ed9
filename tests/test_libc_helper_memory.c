/*
 * Memory that a program frees comes back within two seconds, without a call from the program, when
 * it has threads: big blocks, middle ones, small ones with survivors between them, and what was
 * freed into the pages of threads that have gone idle. A process with one thread keeps what its
 * bounds allow and no more.
 */
#include "api.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Below the bound in bytes, so that it is time that brings it back. */
#define TOTAL (26 * MIB)
#define BLOCKS_MAX (TOTAL / 96)

/* The two seconds, and what a busy machine may add. */
enum { COMES_BACK_MS = 2000, BUSY_MS = 500 };

struct way {
	const char *name;
	size_t low, high; /* sizes of the blocks */
	unsigned one_in;  /* one of so many stays; 0: none */
	bool idle_owner;  /* another thread allocates them, and then never calls again */
	size_t most; /* may stay resident beside the survivors' system pages: descriptors, stacks */
};

/*
 * What a thread keeps: its cache of middle blocks (1 MiB), partly free pages (heap_partial_bytes,
 * 4 MiB), and pages that it allocates from.
 */
static const struct way ways[] = {
	{"big blocks", 2 * MIB, 5 * MIB, 0, false, MIB + MIB / 2},
	{"middle blocks", 64 * KIB, MIB, 0, false, 2 * MIB},
	{"small blocks", 96, 4000, 0, false, 6 * MIB},
	{"small blocks, survivors", 96, 600, 400, false, 6 * MIB},
	{"pages of small blocks, survivors", 4096, 30000, 50, false, 6 * MIB},
	{"big blocks of an idle thread", 2 * MIB, 5 * MIB, 0, true, MIB + MIB / 2},
	{"middle blocks of an idle thread", 64 * KIB, MIB, 0, true, 2 * MIB},
	{"small blocks of an idle thread", 96, 4000, 0, true, 6 * MIB},
	{"small blocks of an idle thread, survivors", 96, 600, 400, true, 6 * MIB},
	/* Half of its pages' room is in blocks that lie in its inbox, half was never used. */
	{"pages of an idle thread", 4096, 50000, 0, true, 3 * MIB},
	{"pages of an idle thread, survivors", 4096, 50000, 50, true, 3 * MIB},
};
enum { WAYS = sizeof ways / sizeof *ways };

static struct block {
	char *p;
	size_t bytes, seed;
} block[BLOCKS_MAX];
static size_t count, live;
static pthread_barrier_t made, ended;

static void pause_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	while (nanosleep(&t, &t) != 0)
		;
}

static void make(const struct way *way, size_t total)
{
	uint64_t seed = 7;

	count = 0;
	for (size_t bytes = 0; bytes < total && count < BLOCKS_MAX; count++) {
		size_t size = way->low + rng_next(&seed) % (way->high - way->low + 1);

		block[count].p = malloc(size);
		block[count].bytes = size;
		block[count].seed = count;
		CHECK(block[count].p, "malloc(%zu)", size);
		pattern_fill(block[count].p, size, count);
		bytes += size;
	}
}

static void check_survivors(void)
{
	for (size_t i = 0; i < count; i++)
		CHECK(!block[i].p || pattern_ok(block[i].p, block[i].bytes, block[i].seed),
			"a block of %zu bytes changed", block[i].bytes);
}

/* In an order by chance, as programs do. What stays is counted by the system pages it touches. */
static void free_most(const struct way *way)
{
	uint64_t seed = 8;

	for (size_t i = count; i-- > 1;) {
		size_t j = rng_next(&seed) % (i + 1);
		struct block moved = block[i];

		block[i] = block[j];
		block[j] = moved;
	}
	live = 0;
	for (size_t i = 0; i < count; i++) {
		if (way->one_in && i % way->one_in == 0) {
			live += block[i].bytes / 4096 * 4096 + 8192;
			continue;
		}
		free(block[i].p);
		block[i].p = NULL;
	}
}

static void *allocate(void *way)
{
	make(way, TOTAL);
	pthread_barrier_wait(&made);
	pthread_barrier_wait(&ended);
	return NULL;
}

static void *stay(void *unused)
{
	pthread_barrier_wait(&ended);
	return unused;
}

static void check_way(void *argument)
{
	const struct way *way = argument;
	size_t before, full, after = 0;
	pthread_t thread;
	uint64_t begin;

	memset(block, 1, sizeof block);
	pthread_barrier_init(&made, NULL, 2);
	pthread_barrier_init(&ended, NULL, 2);
	free(malloc(1));
	before = resident_bytes();
	CHECK(pthread_create(&thread, NULL, way->idle_owner ? allocate : stay, argument) == 0,
		"pthread_create");
	if (way->idle_owner)
		pthread_barrier_wait(&made);
	else
		make(way, TOTAL);
	full = resident_bytes();
	CHECK(full > before + TOTAL / 10 * 9, "%s: only %zu KiB were resident", way->name,
		(full - before) / KIB);
	free_most(way);
	begin = now_ms();
	do {
		pause_ms(20);
		after = resident_bytes();
	} while (after > before + live + way->most && now_ms() - begin < COMES_BACK_MS + BUSY_MS);
	CHECK(after <= before + live + way->most,
		"%s: %zu KiB before, %zu full, %zu after %llu ms, and %zu are of the blocks left",
		way->name, before / KIB, full / KIB, after / KIB,
		(unsigned long long)(now_ms() - begin), live / KIB);
	check_survivors();
	pthread_barrier_wait(&ended);
	pthread_join(thread, NULL);
}

/*
 * Nobody but the calls themselves can give back, and they do, beyond the bounds; not small blocks,
 * whose pages stay while one of them is in use.
 */
static void check_single(void *unused)
{
	static const struct way mixed = {"mixed sizes", 64 * KIB, 3 * MIB, 10, false, 0};
	size_t before, after, most;

	(void)unused;
	memset(block, 1, sizeof block);
	free(malloc(1));
	before = resident_bytes();
	make(&mixed, 200 * MIB);
	CHECK(resident_bytes() > before + 190 * MIB, "200 MiB were never resident");
	free_most(&mixed);
	after = resident_bytes();
	/* purge_bytes and purge_percent, and a quarter more rather than split huge pages. */
	most = (64 * MIB + live / 2) / 4 * 5 + live + 6 * MIB;
	CHECK(after < before + most,
		"one thread: %zu KiB are resident with %zu live, more than %zu",
		(after - before) / KIB, live / KIB, most / KIB);
	check_survivors();
}

int main(void)
{
	pid_t child[WAYS];
	int failed = 0, status;
	struct child single;

	api_begin();
	/* At the same time, as they wait most of the time. */
	for (int i = 0; i < WAYS; i++) {
		child[i] = fork();
		CHECK(child[i] >= 0, "fork: %s", strerror(errno));
		if (child[i] == 0) {
			check_way((void *)&ways[i]);
			_exit(0);
		}
	}
	for (int i = 0; i < WAYS; i++)
		failed += waitpid(child[i], &status, 0) != child[i] || status != 0;
	CHECK(failed == 0, "%d of %d ways keep their memory", failed, WAYS);
	child_run(&single, check_single, NULL);
	CHECK(child_exited(&single, 0), "%s", child_what(&single));
	return 0;
}
