/*
 * protocols.c: see protocols.h.
 */
#include "protocols.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>

static const struct {
	enum row than;
	const char *text;
} row_info[ROW_COUNT] = {
#define INFO(name, than, text) {than, text},
	ROWS(INFO)};

static double *samples[ROW_COUNT]; /* by round; 0: left out */
static uint64_t rounds, round_now;

void rows_init(uint64_t count)
{
	rounds = count;
	for (unsigned row = 0; row < ROW_COUNT; row++)
		samples[row] = bench_map(rounds * sizeof(double));
}

void record(enum row row, uint64_t cycles, uint64_t units)
{
	samples[row][round_now] = (double)cycles / (double)units;
}

void next_round(void)
{
	round_now++;
}

/* ---- The partner ---- */

static job *_Atomic x_job;
static _Atomic(uint64_t) x_steps;      /* since the job was given */
static _Atomic(uint64_t) x_jobs_ended; /* release: after the last step of a job */
static uint64_t jobs_given;
static uint64_t last_cycles; /* of the last job */

static void pin(const cpu_set_t *allowed, unsigned n)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, allowed) && n-- == 0) {
			CPU_SET(cpu, &one);
			sched_setaffinity(0, sizeof one, &one);
			return;
		}
}

static void *partner(void *allowed)
{
	pin(allowed, 1);
	for (;;) {
		job *run = load_acq(&x_job);
		uint64_t begin;

		if (!run) {
			__builtin_ia32_pause();
			continue;
		}
		begin = stamp();
		do {
			run();
			add_rlx(&x_steps, 1);
		} while (load_rlx(&x_job) == run);
		last_cycles = stamp() - begin;
		atomic_fetch_add_explicit(&x_jobs_ended, 1, memory_order_release);
	}
	return NULL;
}

bool partner_init(void)
{
	static cpu_set_t allowed;
	pthread_t thread;

	if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < 2)
		return false;
	pin(&allowed, 0);
	if (pthread_create(&thread, NULL, partner, &allowed) != 0)
		bench_die("no second thread");
	return true;
}

void partner_start(job *run)
{
	store_rlx(&x_steps, 0);
	store_rel(&x_job, run);
	jobs_given++;
	while (!load_acq(&x_steps))
		__builtin_ia32_pause();
}

void partner_stop(void)
{
	store_rel(&x_job, NULL);
	while (load_acq(&x_jobs_ended) != jobs_given)
		__builtin_ia32_pause();
}

uint64_t partner_steps(void)
{
	return load_rlx(&x_steps);
}

uint64_t partner_cycles(void)
{
	return last_cycles;
}

bool beside(job *run, uint64_t (*work)(void), enum row row, uint64_t units, uint64_t least)
{
	uint64_t before, cycles;
	bool ran;

	partner_start(run);
	before = partner_steps();
	cycles = work();
	ran = partner_steps() - before >= least;
	partner_stop();
	if (ran)
		record(row, cycles, units);
	return ran;
}

/* ---- The table ---- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The samples of a row, or its ratios to another; returns how many. */
static size_t collect(double *out, enum row row, bool ratio)
{
	size_t n = 0;
	for (uint64_t i = 0; i < rounds; i++) {
		double than = ratio ? samples[row_info[row].than][i] : 1;
		if (samples[row][i] > 0 && than > 0)
			out[n++] = samples[row][i] / than;
	}
	qsort(out, n, sizeof *out, compare);
	return n;
}

static void print_row(enum row row, double *sorted)
{
	size_t n = collect(sorted, row, false);
	enum row than = row_info[row].than;

	printf("%2u %-64s", row + 1, row_info[row].text);
	if (n == 0) {
		printf(" %8s\n", "-");
		return;
	}
	printf(" %8.1f %8.1f %8.1f %5zu", sorted[n / 2], sorted[n / 4], sorted[n * 3 / 4], n);
	n = than == row ? 0 : collect(sorted, row, true);
	if (n > 0)
		printf(" %7.2f of %2u", sorted[n / 2], than + 1);
	printf("\n");
}

static double cycles_per_ns(void)
{
	uint64_t ns = now_ns(), cycles = stamp();
	while (now_ns() - ns < 20000000)
		;
	return (double)(stamp() - cycles) / (double)(now_ns() - ns);
}

void rows_print(void)
{
	double *sorted = bench_map(rounds * sizeof(double));

	printf("cycles of the time stamp counter, %.2f to a nanosecond; %llu rounds\n",
		cycles_per_ns(), (unsigned long long)rounds);
	printf("%-67s %8s %8s %8s %5s %7s\n", "", "median", "25%", "75%", "n", "ratio");
	for (unsigned row = 0; row < ROW_COUNT; row++)
		print_row((enum row)row, sorted);
}
