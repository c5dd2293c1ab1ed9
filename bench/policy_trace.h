/*
 * policy_trace.h: recorded traces, read for the replay of bench_policy and for policy_sim.
 *
 * Text, one event a line, fields between blanks, '#' begins a comment:
 *
 *     hakmem-trace 1
 *     threads N
 *     slots N             at most so many blocks at a time
 *     events N
 *     run US              length of the run
 *     DT a T S KIB SITE   DT us after the line before: thread T allocates into slot S
 *     DT f T S            thread T frees what is in slot S
 */
#ifndef BENCH_POLICY_TRACE_H
#define BENCH_POLICY_TRACE_H

#include <stdint.h>
#include <stdio.h>

struct trace_event {
	uint64_t us;
	uint32_t slot, turn; /* which event of its slot it is */
	uint32_t kib;        /* 0: a free */
	uint16_t thread, site;
};

struct trace {
	uint64_t threads, slots, count, run_us;
	struct trace_event *events;
};

/* A trace that cannot be used ends the program with one line that says where. */
void trace_read(struct trace *trace, FILE *file);

#endif
