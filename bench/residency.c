/*
 * residency.c: samples of an idle program's memory; see residency.h.
 */
#define _GNU_SOURCE
#include "residency.h"

#include "common.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const unsigned sample_s[] = {0, 1, 2, 5, 10};
uint64_t idle_s = 10;
uint64_t idle_notify;
static uint64_t tables_kib;
static uint64_t samples_kib[COUNT_OF(sample_s)];
static uint64_t others_us;
static uint64_t others_switches;

uint64_t resident_kib(void)
{
	return bench_proc_kib("/proc/self/smaps_rollup", "\nRss:") + bench_status_kib("VmPTE:");
}

void *residency_table(size_t bytes)
{
	uint64_t before = resident_kib();
	void *table = bench_map_resident(bytes);

	tables_kib += resident_kib() - before;
	return table;
}

uint64_t residency_kib(void)
{
	uint64_t kib = resident_kib();

	return kib > tables_kib ? kib - tables_kib : 0;
}

static uint64_t clock_us(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_nsec / 1000u;
}

/* What all threads but this one, which only takes samples, have done so far. */
static void read_others(uint64_t *us, uint64_t *switches)
{
	struct rusage all, own;

	*us = clock_us(CLOCK_THREAD_CPUTIME_ID);
	*us = clock_us(CLOCK_PROCESS_CPUTIME_ID) - *us;
	getrusage(RUSAGE_THREAD, &own);
	getrusage(RUSAGE_SELF, &all);
	*switches = (uint64_t)(all.ru_nvcsw - own.ru_nvcsw);
}

static void tell_runner(void)
{
	if (idle_notify && write((int)idle_notify, "i", 1) != 1)
		bench_die("notify=%llu: nobody listens", (unsigned long long)idle_notify);
}

void residency_idle(void)
{
	uint64_t start = now_ns();
	uint64_t us, switches;

	read_others(&us, &switches);
	for (unsigned i = 0; i < COUNT_OF(sample_s) && sample_s[i] <= idle_s; i++) {
		uint64_t at = start + sample_s[i] * UINT64_C(1000000000);
		struct timespec until = {(time_t)(at / 1000000000u), (long)(at % 1000000000u)};

		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL))
			;
		samples_kib[i] = residency_kib();
		if (!i)
			tell_runner();
	}
	read_others(&others_us, &others_switches);
	/* The two clocks are read one after the other: a few microseconds either way. */
	others_us = others_us > us ? others_us - us : 0;
	others_switches -= switches;
}

const char *residency_text(void)
{
	static char text[512];
	size_t length = 0;

	for (unsigned i = 0; i < COUNT_OF(sample_s) && sample_s[i] <= idle_s; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length,
			"resident_%us=%llu ", sample_s[i], (unsigned long long)samples_kib[i]);
	snprintf(text + length, sizeof(text) - length,
		"tables_kib=%llu idle_cpu_us=%llu idle_switches=%llu",
		(unsigned long long)tables_kib, (unsigned long long)others_us,
		(unsigned long long)others_switches);
	return text;
}

void page_set_init(struct page_set *set, size_t most)
{
	set->slots = 1024;
	while (set->slots < 2 * most)
		set->slots *= 2;
	set->pages = bench_map(set->slots * sizeof(*set->pages));
	set->count = 0;
}

void page_set_add(struct page_set *set, const void *block, size_t bytes)
{
	uintptr_t last = ((uintptr_t)block + bytes - 1) / PAGE_BYTES;

	for (uintptr_t page = (uintptr_t)block / PAGE_BYTES; page <= last; page++) {
		size_t slot = (size_t)(page * UINT64_C(0x9e3779b97f4a7c15) >> 20);

		for (slot &= set->slots - 1; set->pages[slot] && set->pages[slot] != page;)
			slot = (slot + 1) & (set->slots - 1);
		if (set->pages[slot])
			continue;
		set->pages[slot] = page;
		set->count++;
	}
}
