/*
 * policy_schedule.h: the clock of bench_policy's run. Everything is planned in ns
 * since the run began; a late thread catches up, and the plan does not change.
 */
#ifndef BENCH_POLICY_SCHEDULE_H
#define BENCH_POLICY_SCHEDULE_H

#include "policy_work.h"

#define NS_PER_MS UINT64_C(1000000)

/* Before the threads: how many there will be, and the parts of the run. Lingers. */
void schedule_init(unsigned threads, uint64_t warm_ms, uint64_t run_ms);

/* In each thread: waits for the others; the run begins when all are there. */
void schedule_begin(void);

/* Sleeps until `ns` of the run. */
void schedule_wait(uint64_t ns);

enum part schedule_part(uint64_t ns);

/* In each thread: the run ends when all are there. */
void schedule_end(void);

/* A moment of rest, so that whoever samples sees the beginning and the end. */
void schedule_linger(void);

/* "begin_ns=... warm_ns=... end_ns=... late_us=..." in CLOCK_MONOTONIC; late: the worst, and the sum. */
const char *schedule_text(void);

#endif
