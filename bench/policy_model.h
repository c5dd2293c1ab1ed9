/*
 * policy_model.h: a model of the library's pool for policy_sim: which units of memory
 * are in use, free and resident, or purged; what is due; the helper's ticks; and what
 * all of it costs. No memory is touched and no time passes but the trace's.
 *
 * Modelled: spans of 64 KiB slices within a granule and runs of granules; resident
 * memory claimed first, then the lowest address; batches of 4 MiB; ticks of 500 ms, and
 * steps between them for what stays for less; the byte bound. Not modelled: huge pages, so
 * that nothing is promoted to them, caches of threads, blocks below 64 KiB.
 */
#ifndef BENCH_POLICY_MODEL_H
#define BENCH_POLICY_MODEL_H

#include <stdbool.h>
#include <stdint.h>

/* What becomes of a freed block, as in policy/site.h. */
enum fate { FATE_KEPT, FATE_TICK, FATE_BATCH };

/* Who decided, and when: goes with the memory until it is wanted again. */
struct stamp {
	uint64_t number; /* of the free, from 1; 0: none */
	uint32_t freed_ms;
	uint64_t block; /* bytes of the freed block */
	uint8_t context, arm;
	bool kept;
	int patience;      /* as policy/learner.h has it */
	uint32_t stays_ms; /* if it is kept; 0: for the purge delay */
};

/* A freed block, or part of it, was claimed again. */
struct reuse {
	struct stamp stamp;
	uint64_t bytes;   /* of it */
	uint64_t faulted; /* of these */
	uint64_t idle;    /* byte ms that it lay resident and unused */
	uint32_t now_ms;
};

struct model_costs {
	uint64_t cpu_ns; /* purges and faults */
	uint64_t faults; /* pages of 4 KiB */
	double resident; /* byte ms */
};

struct model {
	struct model_costs costs;
	uint64_t now_us;
	uint64_t live, peak_live;       /* bytes that blocks asked for */
	uint64_t traffic;               /* bytes, of blocks of 512 KiB and more */
	uint64_t worked;                /* bytes of all blocks */
	uint64_t dirty, dirty_low, due; /* as in struct node, in bytes */
	uint64_t in_use;                /* bytes of units */
	uint64_t next_tick_us, next_step_us;
	struct space *spaces;
};

/* A block in use: where it lies. */
struct place {
	uint32_t space, first, units;
	uint64_t bytes;
};

#define MODEL_TICK_MS 500u
#define MODEL_BATCH_BYTES ((uint64_t)4 << 20)
#define MODEL_STEP_MS 30u

/* What a page of 4 KiB costs: at first those of a virtual machine, Linux 6.18. */
extern unsigned model_fault_ns, model_purge_ns;

void model_init(struct model *m);

/* Its costs stay, its memory goes. */
void model_drop(struct model *m);

/* Time goes on; ticks happen. */
void model_advance(struct model *m, uint64_t us);

/* Allocates; `reused` is called for every freed block that the memory was part of. */
void model_alloc(struct model *m, uint64_t bytes, struct place *place,
	void (*reused)(const struct reuse *reuse, void *argument), void *argument);

void model_free(
	struct model *m, const struct place *place, const struct stamp *stamp, enum fate fate);

/* The cost of policy_cost.py, where `c0_ns` is what work takes per byte. */
double model_cost(const struct model *m, double c0_ns);

#endif
