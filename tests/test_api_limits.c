/*
 * Limits: ulimit -v of several sizes from the first allocation on, exhaustion by one thread and
 * by many and the recovery from it, RLIMIT_DATA, mlockall.
 */
#include "api.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

struct link {
	struct link *next;
};

static void limit_to(int resource, size_t bytes)
{
	struct rlimit limit = {bytes, bytes};

	CHECK(setrlimit(resource, &limit) == 0, "setrlimit: %s", strerror(errno));
}

/* Blocks of one size until NULL with ENOMEM; returns their bytes. */
static size_t exhaust(struct link **list, size_t size)
{
	size_t bytes = 0;

	for (;;) {
		errno = 0;
		struct link *block = a_malloc(size);

		if (!block)
			break;
		block->next = *list;
		*list = block;
		bytes += size;
	}
	CHECK(errno == ENOMEM, "exhausted with errno %d", errno);
	return bytes;
}

static void free_list(struct link *list)
{
	while (list) {
		struct link *next = list->next;

		a_free(list);
		list = next;
	}
}

/* In a program started under `limit`: fills it, frees all, fills it as far again. */
static void fill_twice(size_t limit, size_t size, size_t least)
{
	struct link *list = NULL;
	size_t first = exhaust(&list, size), again;

	CHECK(first >= least, "only %zu KiB of %zu KiB could be had in blocks of %zu", first / KIB,
		limit / KIB, size);
	errno = 0;
	CHECK(!a_calloc(1, limit) && errno == ENOMEM, "calloc when exhausted: errno %d", errno);
	CHECK(!a_aligned_alloc(4096, limit) && errno == ENOMEM, "aligned_alloc: errno %d", errno);
	free_list(list);
	list = NULL;
	again = exhaust(&list, size);
	CHECK(again >= first / 10 * 9, "after freeing all, %zu KiB instead of %zu KiB", again / KIB,
		first / KIB);
	free_list(list);
}

/* What the image of this very program needs is not ours to give. */
static size_t image_bytes(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	CHECK(file && fscanf(file, "%lu", &pages) == 1, "/proc/self/statm");
	fclose(file);
	return pages * 4096;
}

/* Small blocks leave the rest of the address space to big ones, and the other way round. */
static void fill_mixed(size_t limit)
{
	struct link *list = NULL;
	size_t bytes = 0;

	for (; bytes < 200 * MIB; bytes += 4000) {
		struct link *block = a_malloc(4000);

		CHECK(block, "malloc(4000) after %zu MiB", bytes / MIB);
		block->next = list;
		list = block;
	}
	for (int i = 0; i < 50; i++, bytes += 4 * MIB) {
		struct link *block = a_malloc(4 * MIB);

		CHECK(block, "malloc(4 MiB) after %zu MiB", bytes / MIB);
		block->next = list;
		list = block;
	}
	bytes += exhaust(&list, 300 * MIB);
	CHECK(bytes >= limit / 10 * 8,
		"only %zu MiB of %zu MiB could be had in blocks of all sizes", bytes / MIB,
		limit / MIB);
	free_list(list);
}

static void limited_program(size_t limit)
{
	size_t left = limit - 8 * MIB;

	if (limit >= 4 * GIB) {
		fill_mixed(limit);
		return;
	}

	/* Tiny blocks touch every page: only where that is quick. */
	if (limit <= 200 * MIB)
		fill_twice(limit, 64, left / 3);
	fill_twice(limit, 100 * KIB, left / 3);
	fill_twice(limit, 4000, left / 3);
}

struct start {
	char *const *argv;
	size_t limit;
};

static void exec_limited(void *argument)
{
	struct start *start = argument;

	limit_to(RLIMIT_AS, start->limit);
	execv("/proc/self/exe", start->argv);
	_exit(126);
}

static void check_start_under(size_t limit)
{
	char number[32], *argv[] = {(char[]){"test_api_limits"}, number, NULL};
	struct start start = {argv, limit};
	struct child child;

	snprintf(number, sizeof number, "%zu", limit);
	child_run(&child, exec_limited, &start);
	CHECK(child_exited(&child, 0), "under ulimit -v %zu: %s", limit / KIB, child_what(&child));
}

static void *exhaust_thread(void *size)
{
	struct link *list = NULL;

	exhaust(&list, (size_t)size);
	free_list(list);
	return NULL;
}

/* Many threads run out of memory at the same time; then all goes on. */
static void threads_run_out(void *unused)
{
	enum { THREADS = 6 };
	pthread_t thread[THREADS];

	(void)unused;
	for (int round = 0; round < 5; round++) {
		int started = 0;

		if (round == 0)
			limit_to(RLIMIT_AS, image_bytes() + THREADS * 9 * MIB + 200 * MIB);
		for (size_t i = 0; i < THREADS; i++) {
			size_t size = (size_t)48 << (i * 2);

			if (pthread_create(&thread[i], NULL, exhaust_thread, (void *)size) != 0)
				break;
			started++;
		}
		CHECK(started > 0, "no thread could be started in round %d", round);
		for (int i = 0; i < started; i++)
			pthread_join(thread[i], NULL);
	}
	for (int i = 0; i < 1000; i++) {
		void *block = a_malloc(5000);

		CHECK(block, "malloc(5000) after all threads freed everything");
		a_free(block);
	}
}

/* The limit falls to what is mapped: nothing new, but what is there can be freed and used. */
static void no_more(void *unused)
{
	enum { BLOCKS = 3000 };
	static char *block[BLOCKS];
	struct link *list = NULL;

	(void)unused;
	for (int i = 0; i < BLOCKS; i++) {
		block[i] = a_malloc(2000);
		CHECK(block[i], "malloc(2000)");
		pattern_fill(block[i], 2000, (uint64_t)i);
	}
	limit_to(RLIMIT_AS, image_bytes());
	exhaust(&list, 4 * MIB);
	exhaust(&list, 100);
	for (int i = 0; i < BLOCKS; i++) {
		CHECK(pattern_ok(block[i], 2000, (uint64_t)i), "block %d was overwritten", i);
		a_free(block[i]);
	}
	for (int i = 0; i < BLOCKS / 2; i++) {
		block[i] = a_malloc(2000);
		CHECK(block[i], "malloc(2000) after freeing twice as much");
	}
	free_list(list);
}

static void data_limit(void *unused)
{
	(void)unused;
	limit_to(RLIMIT_DATA, 64 * MIB);
	fill_twice(64 * MIB, 500, 20 * MIB);
	fill_twice(64 * MIB, 70000, 20 * MIB);
}

static void lock_all(void *unused)
{
	struct link *list = NULL;
	size_t before;

	(void)unused;
	if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
		_exit(77);
	before = resident_bytes();
	for (int i = 0; i < 20000; i++) {
		struct link *block = a_malloc(100);

		CHECK(block, "malloc under mlockall");
		block->next = list;
		list = block;
	}
	free_list(list);
	a_free(a_malloc(MIB));
	CHECK(resident_bytes() < before + 64 * MIB, "2 MB of blocks lock %zu KiB",
		(resident_bytes() - before) / KIB);
}

/* An ordinary user's mlockall with the usual small limit: ENOMEM, no crash. */
static void lock_little(void *unused)
{
	struct link *list = NULL;
	struct rlimit limit;

	(void)unused;
	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_max > 32 * MIB)
		limit_to(RLIMIT_MEMLOCK, 32 * MIB);
	if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
		_exit(77);
	if (mlockall(MCL_FUTURE) != 0)
		_exit(77);
	CHECK(exhaust(&list, 1000) >= MIB, "not one MiB under a lock limit");
	free_list(list);
	list = NULL;
	CHECK(exhaust(&list, 1000) >= MIB, "not one MiB the second time");
}

static void check_child(const char *what, void (*body)(void *))
{
	struct child child;

	child_run(&child, body, NULL);
	CHECK(child_exited(&child, 0) || child_exited(&child, 77), "%s: %s", what,
		child_what(&child));
}

int main(int argc, char **argv)
{
	static const size_t limits[] = {32 * MIB, 48 * MIB, 64 * MIB, 100 * MIB, 200 * MIB,
		500 * MIB, 1100 * MIB, 1536 * MIB, 4 * GIB, 8 * GIB};

	if (TEST_SANITIZED)
		test_skip("the sanitizers need more address space than any limit here");
	if (argc == 2) {
		limited_program(strtoull(argv[1], NULL, 10));
		return 0;
	}
	api_begin();
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
		check_start_under(limits[i]);
	check_child("threads running out", threads_run_out);
	check_child("a limit below what is mapped", no_more);
	check_child("RLIMIT_DATA", data_limit);
	check_child("mlockall", lock_all);
	check_child("mlockall with a small limit", lock_little);
	return 0;
}
