/*
 * policy_work.h: the blocks of bench_policy: where they come from (malloc, or
 * memory of the program's own in its limit mode), how they are used, and what
 * is counted of them.
 */
#ifndef BENCH_POLICY_WORK_H
#define BENCH_POLICY_WORK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Places in the program that call malloc; each is a return address of its own. */
#define WORK_SITES 16u

/* What counts as traffic: the policy decides about blocks of this size and more. */
#define TRAFFIC_FROM ((size_t)512 << 10)

/* 1: no allocator, but kept memory of the program's own. */
extern uint64_t work_limit;

/* The part of the run that a moment belongs to. */
enum part { PART_WARM, PART_MEASURED, PARTS };

struct work_counts {
	_Atomic(uint64_t) traffic[PARTS]; /* bytes */
	_Atomic(uint64_t) blocks[PARTS];
	_Atomic(uint64_t) live, peak; /* bytes */
};
extern struct work_counts work_counts;

void *work_alloc(unsigned site, size_t bytes, enum part part);
void work_free(void *block, size_t bytes);

/* As a buffer that arrives half full: the first half is filled, every other page stored to once. */
void work_use(void *block, size_t bytes);

#endif
