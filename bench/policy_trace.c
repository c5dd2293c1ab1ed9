/*
 * policy_trace.c: see policy_trace.h. What happens to a slot happens in the order
 * of the recording, whichever threads do it: each event has its turn.
 */
#define _GNU_SOURCE
#include "policy_trace.h"

#include "common.h"
#include "policy_schedule.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>

#define WARM_PARTS 5u
#define THREADS_MAX 256u
#define LINE_MAX 256

struct event {
	uint64_t ns;
	uint32_t slot, turn;
	uint32_t kib; /* 0: a free */
	uint16_t thread;
	uint16_t site;
};

struct slot {
	_Atomic(uint32_t) turn; /* of the event that may act; a slot belongs to that one */
	uint32_t read_turn;
	uint32_t read_kib; /* in use, as the trace is read */
	void *block;
	size_t bytes;
};

static struct event *events;
static struct slot *slots;
static uint64_t thread_count, slot_count, event_count, run_us;
static uint64_t line_number;

static char *read_line(char *line)
{
	for (;;) {
		if (!fgets(line, LINE_MAX, stdin))
			bench_die("trace: it ends after line %" PRIu64, line_number);
		line_number++;
		if (line[0] != '#')
			return line;
	}
}

static uint64_t read_field(const char *name, uint64_t most)
{
	char line[LINE_MAX], found[32];
	uint64_t value;

	if (sscanf(read_line(line), "%31s %" SCNu64, found, &value) != 2 || strcmp(found, name) ||
		!value || value > most)
		bench_die("trace: line %" PRIu64 " is not '%s' and a number up to %" PRIu64,
			line_number, name, most);
	return value;
}

static void read_event(struct event *e, uint64_t *us)
{
	char line[LINE_MAX], op;
	uint64_t dt;
	unsigned thread, site = 0;
	int fields = sscanf(read_line(line), "%" SCNu64 " %c %u %" SCNu32 " %" SCNu32 " %u", &dt,
		&op, &thread, &e->slot, &e->kib, &site);

	if (!(fields == 6 && op == 'a' && e->kib) && !(fields == 4 && op == 'f'))
		bench_die("trace: line %" PRIu64 " is no event: %s", line_number, line);
	if (op == 'f')
		e->kib = 0;
	*us += dt;
	if (thread >= thread_count || e->slot >= slot_count || *us > run_us)
		bench_die("trace: line %" PRIu64 " goes beyond the header: %s", line_number, line);
	struct slot *slot = &slots[e->slot];
	if (!slot->read_kib == !e->kib)
		bench_die("trace: line %" PRIu64 ": slot %u is %s", line_number, e->slot,
			slot->read_kib ? "in use" : "empty");
	slot->read_kib = e->kib;
	e->turn = slot->read_turn++;
	e->ns = *us * 1000;
	e->thread = (uint16_t)thread;
	e->site = (uint16_t)(site % WORK_SITES);
}

unsigned trace_read(void)
{
	uint64_t us = 0;

	if (read_field("hakmem-trace", 1) != 1)
		bench_die("trace: another version");
	thread_count = read_field("threads", THREADS_MAX);
	slot_count = read_field("slots", 1u << 24);
	event_count = read_field("events", 1u << 26);
	run_us = read_field("run", UINT64_C(3600000000));
	events = bench_map(event_count * sizeof(*events));
	slots = bench_map(slot_count * sizeof(*slots));
	for (uint64_t i = 0; i < event_count; i++)
		read_event(&events[i], &us);
	/* A second thread, as every workload has it. */
	return thread_count < 2 ? 2 : (unsigned)thread_count;
}

uint64_t trace_run_ms(void)
{
	return run_us / 1000;
}

uint64_t trace_warm_ms(void)
{
	return trace_run_ms() / WARM_PARTS;
}

static void replay(const struct event *e)
{
	struct slot *slot = &slots[e->slot];

	schedule_wait(e->ns);
	while (atomic_load(&slot->turn) != e->turn)
		sched_yield();
	if (e->kib) {
		slot->bytes = (size_t)e->kib << 10;
		slot->block = work_alloc(e->site, slot->bytes, schedule_part(e->ns));
		work_use(slot->block, slot->bytes);
	} else {
		work_free(slot->block, slot->bytes);
	}
	atomic_store(&slot->turn, e->turn + 1);
}

void trace_worker(unsigned index)
{
	schedule_begin();
	for (uint64_t i = 0; i < event_count; i++)
		if (events[i].thread == index)
			replay(&events[i]);
	schedule_end();
}
