/*
 * estimate.h: what each strategy would have cost, from what was observed: a big
 * block was freed, and so long after, its memory was claimed again. Kept memory
 * costs idle bytes until then; purged memory costs the system call and the page
 * faults. The cost of a block does not depend on others, so a tally by size is
 * all that has to be kept, whatever the strategy that was in force.
 * Pure functions on integers: the library and the simulator run the same code.
 */
#ifndef POLICY_ESTIMATE_H
#define POLICY_ESTIMATE_H

#include "base/options.h"
#include "policy/elo.h"

/* Strategy i keeps freed blocks of up to thresholds[i] bytes. */
extern const uint64_t estimate_thresholds[ELO_ARMS];

/* Sizes by the first strategy that keeps them; the last: none does. */
#define ESTIMATE_BINS (ELO_ARMS + 1)
unsigned estimate_bin(uint64_t bytes);

/* The largest of a bin, and a size of the last one. */
static inline uint64_t estimate_bin_bytes(unsigned bin)
{
	return bin < ELO_ARMS ? estimate_thresholds[bin] : 2 * estimate_thresholds[ELO_ARMS - 1];
}

/* What the costs depend on beside the block. */
struct estimate_world {
	uint32_t keep_ms;     /* idle memory is given back after once to twice this; 0: never */
	uint64_t batch_bytes; /* a batch of so many bytes is purged */
	uint64_t batch_rate;  /* bytes per ms that such batches may fill with */
	uint32_t kept_lost;   /* of 1024 kept bytes so many were purged early all the same */
	uint32_t huge_late;   /* of 1024 that idling costs in huge pages, what it saves later */
};

struct estimate_event {
	uint64_t block;      /* size of the block that was freed */
	uint64_t bytes;      /* its part that was claimed now */
	int32_t interval_ms; /* between the two; as clocks are coarse, it may be negative */
	bool huge;           /* in huge pages */
};

/* Traffic, and what became of it, in bytes and byte milliseconds. */
struct estimate_fate {
	uint64_t gone, gone_huge; /* purged, so that its pages fault: small and huge ones */
	int64_t idle;             /* resident and unused */
};
struct estimate_tally {
	uint64_t events, bytes;
	struct estimate_fate kept[ESTIMATE_BINS], purged[ESTIMATE_BINS];
};

void estimate_add(
	struct estimate_tally *t, const struct estimate_world *w, const struct estimate_event *e);

/* What a block costs when it is kept, and when it is purged; estimate_add adds these up. */
struct estimate_fate estimate_kept(const struct estimate_world *w, const struct estimate_event *e);
struct estimate_fate estimate_purged(
	const struct estimate_world *w, const struct estimate_event *e);

/* What things cost. */
struct estimate_prices {
	uint32_t touched;  /* of 1024 bytes that were purged so many are touched again */
	uint32_t purge_ns; /* giving back a small page */
	uint32_t fault_ns; /* the first touch of one */
	uint32_t huge_ns;  /* the same as part of a huge page, which is cleared with one fault */
	uint64_t turnover; /* traffic per ms over the peak of memory in use, in 1/2^20 */
};

/* Until they have been measured. Turnover has to be. */
#define ESTIMATE_TOUCHED 1024
#define ESTIMATE_PURGE_NS 90
#define ESTIMATE_FAULT_NS 1000
/* Measured on a virtual machine, Linux 6.18, with 2 to 24 MiB, after sleeps of 20 ms. */
#define ESTIMATE_FAULT_HUGE_NS 600
#define ESTIMATE_PURGE_HUGE_NS 20 /* of 4 KiB */

/* The three terms of a cost, per byte of traffic, in units of 1/65536 (elo.h). */
struct estimate_cost {
	uint64_t cpu, faults, idle;
};

/* The cost of every strategy. There must have been traffic. */
void estimate_costs(const struct estimate_tally *t, const struct estimate_prices *p,
	struct estimate_cost terms[ELO_ARMS], uint32_t cost[ELO_ARMS]);

/* How long a byte may idle until it costs what purging it would have. */
uint32_t estimate_break_even_ms(const struct estimate_prices *p, bool huge);

/*
 * What huge_late is where a huge page costs more_ns more, by the page of 4 KiB, after the
 * kernel has had it for so long.
 */
#define ESTIMATE_LATE_MS 1250
uint32_t estimate_huge_late(const struct estimate_prices *p, uint32_t more_ns);

/* What idling for so long counts, in byte ms. */
int64_t estimate_idle(
	const struct estimate_world *w, const struct estimate_event *e, uint64_t bytes, int64_t ms);

#endif
