/*
 * prog_startup.c: the time that preloading a library adds to /bin/true: runs with and without
 * take turns, so that what else the machine does falls on both.
 *
 *   prog_startup LIB [RUNS]
 */
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { RUNS_MAX = 20000 };

static double none[RUNS_MAX], with[RUNS_MAX];

static double run_once(char *const *environment)
{
	static char name[] = "true", *argv[] = {name, NULL};
	struct timespec begin, end;
	int status = -1;
	pid_t pid;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environment) != 0 ||
		waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "prog_startup: /bin/true failed with status %#x\n",
			(unsigned)status);
		exit(1);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	return (double)(end.tv_sec - begin.tv_sec) * 1e3 +
	       (double)(end.tv_nsec - begin.tv_nsec) / 1e6;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	char variable[4200], *preloaded[] = {variable, NULL}, *empty[] = {NULL};
	int runs = argc > 2 ? atoi(argv[2]) : 2000;

	if (argc < 2 || runs < 10 || runs > RUNS_MAX) {
		fprintf(stderr, "usage: prog_startup LIB [RUNS from 10 to %d]\n", RUNS_MAX);
		return 2;
	}
	snprintf(variable, sizeof variable, "LD_PRELOAD=%.4096s", argv[1]);
	for (int i = 0; i < runs; i++) {
		none[i] = run_once(empty);
		with[i] = run_once(preloaded);
	}
	qsort(none, (size_t)runs, sizeof *none, compare);
	qsort(with, (size_t)runs, sizeof *with, compare);
	printf("/bin/true, %d runs each: without %.3f ms (minimum), %.3f ms (median); with %s %.3f "
	       "ms, "
	       "%.3f ms; added %.3f ms, %.3f ms\n",
		runs, none[0], none[runs / 2], argv[1], with[0], with[runs / 2], with[0] - none[0],
		with[runs / 2] - none[runs / 2]);
	return 0;
}
