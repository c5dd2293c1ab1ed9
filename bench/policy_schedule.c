/*
 * policy_schedule.c: see policy_schedule.h.
 */
#define _GNU_SOURCE
#include "policy_schedule.h"

#include "common.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#define LINGER_MS 150u

static pthread_barrier_t barrier;
static uint64_t begin_ns, warm_ns, run_ns, end_ns;
static _Atomic(uint64_t) late_worst_ns, late_sum_ns;

static void sleep_until(uint64_t ns)
{
	struct timespec until = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL))
		;
}

void schedule_linger(void)
{
	sleep_until(now_ns() + LINGER_MS * NS_PER_MS);
}

void schedule_init(unsigned threads, uint64_t warm_ms, uint64_t run_ms)
{
	pthread_barrier_init(&barrier, NULL, threads);
	warm_ns = warm_ms * NS_PER_MS;
	run_ns = run_ms * NS_PER_MS;
	schedule_linger();
}

void schedule_begin(void)
{
	if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
		begin_ns = now_ns();
	pthread_barrier_wait(&barrier);
}

void schedule_wait(uint64_t ns)
{
	uint64_t at = begin_ns + ns, now = now_ns();

	if (now < at) {
		sleep_until(at);
		now = now_ns();
	}
	uint64_t late = now - at, worst = atomic_load(&late_worst_ns);
	while (late > worst && !atomic_compare_exchange_weak(&late_worst_ns, &worst, late))
		;
	atomic_fetch_add(&late_sum_ns, late);
}

enum part schedule_part(uint64_t ns)
{
	return ns < warm_ns ? PART_WARM : PART_MEASURED;
}

void schedule_end(void)
{
	schedule_wait(run_ns);
	if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
		end_ns = now_ns();
}

const char *schedule_text(void)
{
	static char text[256];

	snprintf(text, sizeof(text),
		"begin_ns=%llu warm_ns=%llu end_ns=%llu late_us=%llu late_sum_us=%llu",
		(unsigned long long)begin_ns, (unsigned long long)(begin_ns + warm_ns),
		(unsigned long long)end_ns, (unsigned long long)atomic_load(&late_worst_ns) / 1000,
		(unsigned long long)atomic_load(&late_sum_ns) / 1000);
	return text;
}
