/*
 * learner.h: what one thread learns: a contest for each thermal class of sites,
 * and what it takes to keep the estimates honest. A thread has a learner from its
 * first big block to its end; then the next thread gets it. Learners are type-stable.
 */
#ifndef POLICY_LEARNER_H
#define POLICY_LEARNER_H

#include "base/atomic.h"
#include "policy/contest.h"
#include "policy/patience.h"
#include "policy/site.h"
#include "policy/world.h"

#define CONTEXTS 3 /* enum site_class */
#define SHARES 2   /* the node's snapshot and the process's */

struct learner {
	struct contest contest[CONTEXTS]; /* own */
	struct estimate_world world;      /* own: as it was when a window ended last */
	uint64_t traffic;                 /* own: bytes claimed that the world has not heard of */
	uint64_t in_use;                  /* own: of the process, the most since then */
	uint64_t clean;                   /* own: of these, not resident, in small pages */
	uint64_t kept_seen, kept_clean;   /* own: bytes kept, found again; purged all the same */
	uint64_t faults;                  /* own: of the thread, when they were last looked at */
	uint32_t kept_lost, touched;      /* own: averages of these, of 1024 */
	uint32_t index;                   /* const */
	struct contest_record sent[SHARES][CONTEXTS]; /* own: what the snapshots have */
	_Atomic(uint32_t) x_next_free;                /* any: relaxed; link on the stack [Y1] */
	/* own writes, any reads relaxed: what the snapshots have not, for statistics */
	counter64 x_unmerged[SHARES][CONTEXTS][CONTEST_WORDS];
	_Atomic(uint8_t) x_node; /* own writes, any reads relaxed: of the memory claimed last */
	_Atomic(int32_t) x_rating[CONTEXTS][ELO_ARMS];          /* own writes, any reads relaxed */
	_Atomic(uint8_t) x_choice[CONTEXTS], x_phase[CONTEXTS]; /* own writes, any reads relaxed */
};

extern struct patience patience_now;

/* A learner for this thread, with nothing in its contests but its record; NULL without memory. */
struct learner *learner_get(void);

/* The strategy in force in a context before anything was learned. */
unsigned learner_first_choice(unsigned context);

/* Puts it on the stack of free ones; with what could not be merged, for the next owner. */
void learner_put(struct learner *l);

/* Those ever made. */
unsigned learner_count(void);
struct learner *learner_at(unsigned index);

/* A block was claimed, of which so much was not resident; and if any, what the process has in use. */
void learner_claimed(struct learner *l, unsigned node, uint64_t bytes, uint64_t clean, bool huge,
	uint64_t in_use);

/*
 * A freed block was claimed again, that was kept with that patience (patience.h), or PURGED: true
 * when the window of its context is full.
 */
#define PURGED (-1)
bool learner_reused(struct learner *l, unsigned context, const struct estimate_event *e,
	int patience, bool resident, uint32_t now_ms);

/* Ends that window: true when the choice changed or was frozen. `in_use`: bytes, of the process. */
bool learner_close(struct learner *l, unsigned context, uint64_t in_use, uint32_t now_ms);

/* Shows others what has changed in a context. */
void learner_show(struct learner *l, unsigned context);

#endif
