/*
 * policy_replay.h: bench_policy with a recorded trace from standard input in the
 * place of habits: its times, threads and places, and its own way to use blocks.
 */
#ifndef BENCH_POLICY_REPLAY_H
#define BENCH_POLICY_REPLAY_H

#include <stdint.h>

/* Returns the number of threads. */
unsigned replay_read(void);

uint64_t replay_run_ms(void);

/* The first fifth of the run. */
uint64_t replay_warm_ms(void);

/* Thread `index` of the trace. */
void replay_worker(unsigned index);

#endif
