/*
 * policy_trace.c: see policy_trace.h.
 */
#define _GNU_SOURCE
#include "policy_trace.h"

#include "common.h"

#include <inttypes.h>

#define LINE_MAX 256
#define THREADS_MAX 256u
#define SLOTS_MAX (1u << 24)
#define EVENTS_MAX (1u << 26)
#define RUN_US_MAX UINT64_C(3600000000)

/* A slot while the trace is read. */
struct slot {
	uint32_t turn, kib;
};

static uint64_t line_number;

static char *read_line(FILE *file, char *line)
{
	for (;;) {
		if (!fgets(line, LINE_MAX, file))
			bench_die("trace: it ends after line %" PRIu64, line_number);
		line_number++;
		line[strcspn(line, "\n")] = 0;
		if (line[0] != '#')
			return line;
	}
}

static uint64_t read_field(FILE *file, const char *name, uint64_t most)
{
	char line[LINE_MAX], found[32];
	uint64_t value;

	if (sscanf(read_line(file, line), "%31s %" SCNu64, found, &value) != 2 ||
		strcmp(found, name) || !value || value > most)
		bench_die("trace: line %" PRIu64 " is not '%s' and a number up to %" PRIu64,
			line_number, name, most);
	return value;
}

static void read_event(
	FILE *file, const struct trace *t, struct slot *slots, uint64_t *us, struct trace_event *e)
{
	char line[LINE_MAX], op;
	uint64_t dt;
	unsigned thread, site = 0;
	int fields = sscanf(read_line(file, line), "%" SCNu64 " %c %u %" SCNu32 " %" SCNu32 " %u",
		&dt, &op, &thread, &e->slot, &e->kib, &site);

	if (!(fields == 6 && op == 'a' && e->kib) && !(fields == 4 && op == 'f'))
		bench_die("trace: line %" PRIu64 " is no event: %s", line_number, line);
	if (op == 'f')
		e->kib = 0;
	*us += dt;
	if (thread >= t->threads || e->slot >= t->slots || *us > t->run_us)
		bench_die("trace: line %" PRIu64 " goes beyond the header: %s", line_number, line);
	struct slot *slot = &slots[e->slot];
	if (!slot->kib == !e->kib)
		bench_die("trace: line %" PRIu64 ": slot %u is %s", line_number, e->slot,
			slot->kib ? "in use" : "empty");
	slot->kib = e->kib;
	e->turn = slot->turn++;
	e->us = *us;
	e->thread = (uint16_t)thread;
	e->site = (uint16_t)site;
}

void trace_read(struct trace *trace, FILE *file)
{
	uint64_t us = 0;
	struct slot *slots;

	line_number = 0;
	read_field(file, "hakmem-trace", 1);
	trace->threads = read_field(file, "threads", THREADS_MAX);
	trace->slots = read_field(file, "slots", SLOTS_MAX);
	trace->count = read_field(file, "events", EVENTS_MAX);
	trace->run_us = read_field(file, "run", RUN_US_MAX);
	trace->events = bench_map(trace->count * sizeof(*trace->events));
	slots = bench_map(trace->slots * sizeof(*slots));
	for (uint64_t i = 0; i < trace->count; i++)
		read_event(file, trace, slots, &us, &trace->events[i]);
}
