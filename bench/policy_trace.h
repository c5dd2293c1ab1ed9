/*
 * policy_trace.h: a recorded trace, read from standard input and replayed by
 * bench_policy with the times, threads and places of the recording.
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

/* Returns the number of threads; a trace that cannot be used ends the program with one line. */
unsigned trace_read(void);

uint64_t trace_run_ms(void);

/* The first fifth of the run. */
uint64_t trace_warm_ms(void);

/* Thread `index` of the trace. */
void trace_worker(unsigned index);

#endif
