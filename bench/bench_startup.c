/*
 * bench_startup: what a preloaded library adds to every program's start.
 *
 *     bench_startup RUNS LIBRARY...
 *
 * Starts /bin/true RUNS times under each library ("-" is none), one after the
 * other in an order that is drawn anew each time, so that none always follows
 * the same neighbour, and prints a line per library: minimum and median time from
 * the call of posix_spawn to the end of the child, in nanoseconds.
 */
#define _GNU_SOURCE
#include "common.h"

#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define MAX_LIBRARIES 64

static uint64_t *times[MAX_LIBRARIES];

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t start_once(const char *library)
{
	char preload[4096 + 16];
	char *environment[] = {NULL, NULL};
	char *arguments[] = {(char *)"true", NULL};
	uint64_t start;
	pid_t child;
	int status, error;

	if (strcmp(library, "-")) {
		snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", library);
		environment[0] = preload;
	}
	start = now_ns();
	error = posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environment);
	if (error)
		bench_die("/bin/true: %s", strerror(error));
	if (waitpid(child, &status, 0) != child || status)
		bench_die("/bin/true under %s: status %#x", library, (unsigned)status);
	return now_ns() - start;
}

static void shuffle(int *order, int count, struct rng *rng)
{
	for (int i = 0; i < count; i++) {
		int other = (int)rng_below(rng, (uint32_t)i + 1);

		order[i] = order[other];
		order[other] = i;
	}
}

int main(int argc, char **argv)
{
	struct rng rng = rng_stream(0);
	int order[MAX_LIBRARIES] = {0};
	int libraries = argc - 2;
	size_t runs = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;

	if (!runs || libraries < 1 || libraries > MAX_LIBRARIES)
		bench_die("usage: bench_startup RUNS LIBRARY... (at most %d)", MAX_LIBRARIES);
	for (int i = 0; i < libraries; i++)
		times[i] = bench_map_resident(runs * sizeof(uint64_t));
	for (size_t run = 0; run < runs; run++) {
		shuffle(order, libraries, &rng);
		for (int i = 0; i < libraries; i++)
			times[order[i]][run] = start_once(argv[order[i] + 2]);
	}
	for (int i = 0; i < libraries; i++) {
		qsort(times[i], runs, sizeof(uint64_t), compare);
		printf("STARTUP library=%s min_ns=%llu median_ns=%llu\n", argv[i + 2],
		        (unsigned long long)times[i][0], (unsigned long long)times[i][runs / 2]);
	}
	return 0;
}
