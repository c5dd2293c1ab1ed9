/*
 * internal.h: between the files of the explorer.
 *
 *   memory.c   which stores there are, and who has seen which
 *   races.c    which plain accesses race
 *   undo.c     what has been written, to begin again with the same memory
 *   explore.c  threads, choices, and the search through them
 *   hooks.c    from the compiler's calls to the others
 *   sites.c    where in the source an access is; orders that are weakened
 */
#ifndef MODEL_INTERNAL_H
#define MODEL_INTERNAL_H

#include "explore.h"

enum { ACQUIRE = 1, RELEASE = 2, SEQ_CST = 4 };

enum op_kind { OP_LOAD, OP_STORE, OP_RMW, OP_CAS, OP_YIELD, OP_SLEEP, OP_WAKE, OP_RCU };
enum rmw { RMW_EXCHANGE, RMW_ADD, RMW_SUB, RMW_AND, RMW_OR, RMW_XOR };
enum rcu { RCU_LOCK, RCU_UNLOCK, RCU_BEGIN, RCU_END };

/* An access that a thread is about to make. */
struct op {
	enum op_kind kind;
	unsigned how; /* enum rmw or rcu; of a sleep: it is limited */
	uintptr_t address;
	unsigned bytes;
	unsigned order, order_failed; /* bits; of a CAS that fails */
	uint64_t value, expected;
	const void *site; /* the call's return address */
	uint64_t found;   /* result */
	bool done;        /* result of a CAS */
	unsigned location;
};

/* ---- memory.c ---------------------------------------------------------------- */

#define LOCATIONS 256
#define STORES 8192

/* What a thread knows: of each thread how far it has come, of each location which store. */
struct view {
	uint16_t clock[MODEL_THREADS];
	uint16_t seen[LOCATIONS]; /* store numbers */
};

/* One way to make an access. */
struct choice {
	uint8_t thread;
	bool done;      /* a CAS succeeds; a sleep reaches its limit */
	uint16_t store; /* that is read, or after which a store is placed */
};

/* A new execution: each location has one store, what is in memory now. */
void memory_begin(void);
void memory_forget(void); /* all locations: another model */

/*
 * Is the access one of which the order matters: does some thread write there, and
 * another one access it? It is learned while exploring: *again, when this was not
 * known before, and all must begin again.
 */
bool memory_matters(struct op *op, unsigned thread, bool *again);

/* The ways in which a thread can do it now; returns how many. */
size_t memory_choices(const struct op *op, unsigned thread, struct choice *choices);
void memory_do(struct op *op, const struct choice *c);

/* A futex sees the newest value; after a yield a thread must see a newer one. */
uint64_t memory_newest(unsigned location, unsigned thread);
bool memory_yield(unsigned thread, bool now);
void memory_read_other(unsigned thread); /* the last access was one that does not matter */

/* An acquire sees every release before it, whatever they access: what another model checks. */
void memory_trust(unsigned thread, unsigned order);

void memory_note(unsigned thread, uint64_t what); /* it has gone on */
void memory_rcu(unsigned thread, enum rcu what);
bool memory_rcu_is_quiet(unsigned thread);

uint64_t memory_hash(void);
size_t memory_locations(void);
const uint16_t *memory_clock(unsigned thread);

/* A thread writes there by a plain access: the next atomic one finds another store. */
void memory_changed(uintptr_t address, size_t bytes, unsigned thread);

static inline uint64_t mix(uint64_t h, uint64_t x)
{
	h = (h ^ x) * 0x9e3779b97f4a7c15u;
	return h ^ (h >> 29);
}

/* ---- races.c ----------------------------------------------------------------- */

/* Plain accesses, and atomic ones whose order does not matter. */
enum access { PLAIN_READ, PLAIN_WRITE, ATOMIC_READ, ATOMIC_WRITE, ACCESSES };

void races_begin(void);

/* Fails when another thread's access there conflicts and neither comes before the other. */
void races_access(unsigned thread, uintptr_t address, size_t bytes, enum access access);
void races_write_range(unsigned thread, uintptr_t start, size_t bytes);

/* ---- undo.c ------------------------------------------------------------------ */

void undo_log(uintptr_t address, size_t bytes);
size_t undo_mark(void);
void undo_to(size_t mark);

/* ---- explore.c --------------------------------------------------------------- */

enum phase { SETTING_UP, EXPLORING, CHECKING };
extern enum phase phase;
extern unsigned running; /* thread whose code runs; 0 outside EXPLORING */

/* Of one scenario. */
struct result {
	uint64_t executions, states, merged;
	bool exhausted; /* nothing was left out */
	char failure[400];
	bool wrong_outcomes;
};
struct result explore(const struct scenario *s, uint64_t most);
extern bool tracing;

/* In a thread: makes the access when it is chosen; or ends the execution, to begin all again. */
void thread_do(struct op *op);
_Noreturn void explore_again(void);
bool is_stack(uintptr_t address);

/* ---- hooks.c ----------------------------------------------------------------- */

void hooks_forget(void); /* what was to be ignored */

/* ---- sites.c ----------------------------------------------------------------- */

/* The order an access has, or is given for now. */
unsigned site_order(const void *site, enum op_kind kind, unsigned order);

/* All sites seen, found in the source. */
struct site_line {
	char file[100], function[60];
	unsigned line;
	unsigned order; /* bits, of all accesses there */
	enum op_kind kind;
	char cites[60]; /* " [F1] [F2]" */
	bool weakened_was_used;
};
size_t sites_resolve(void);
struct site_line *site_line(size_t i);

/* From now on accesses of this line lack these bits; 0: none does. */
void site_weaken(size_t i, unsigned bits);
const char *site_describe(const void *site);

#endif
