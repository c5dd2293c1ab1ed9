/*
 * explore.c: the search. An execution is a list of choices: which thread makes its
 * next access that matters, and what it sees. Executions are repeated from the
 * start, depth first, each with the last choice that has an alternative left changed.
 * An execution that comes to a state that was seen before ends there: what threads
 * have done and seen, and the order of the stores, say all about what can follow.
 */
#include "stacks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 4000
#define CHOICES_MAX 1024
#define OUTCOMES_MAX 64

enum phase phase;
unsigned running;
bool tracing;

static const struct scenario *scenario;
static struct result result;
static jmp_buf failed;
static bool again, stopped; /* begin the search again; end this execution */
static unsigned timers;
static size_t setup_mark;

static struct {
	uint16_t choice, count;
} path[DEPTH_MAX];
static size_t depth, length;

/* Of a thread that sleeps. */
static struct {
	bool asleep, woken;
} sleeps[MODEL_THREADS];

/* ---- States that were seen --------------------------------------------------- */

static uint64_t *seen;
static size_t seen_count, seen_room;

static bool seen_insert(uint64_t *table, size_t room, uint64_t h)
{
	size_t i = h & (room - 1);
	for (; table[i]; i = (i + 1) & (room - 1))
		if (table[i] == h)
			return false;
	table[i] = h;
	return true;
}

static void seen_grow(void)
{
	size_t room = seen_room ? seen_room * 2 : 1 << 16;
	uint64_t *table = calloc(room, sizeof *table);
	if (!table) {
		perror("calloc");
		exit(2);
	}
	for (size_t i = 0; i < seen_room; i++)
		if (seen[i])
			seen_insert(table, room, seen[i]);
	free(seen);
	seen = table;
	seen_room = room;
}

/* True when it is new. */
static bool seen_add(uint64_t h)
{
	if (seen_count * 2 >= seen_room)
		seen_grow();
	bool added = seen_insert(seen, seen_room, h | !h);
	seen_count += added;
	return added;
}

static uint64_t state_hash(void)
{
	uint64_t h = mix(memory_hash(), timers);
	for (unsigned t = 1; t < MODEL_THREADS; t++)
		h = mix(h, (uint64_t)sleeps[t].asleep * 2 + sleeps[t].woken);
	return h;
}

/* ---- Failures ---------------------------------------------------------------- */

_Noreturn void model_fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(result.failure, sizeof result.failure, format, args);
	va_end(args);
	stopped = true;
	if (phase == EXPLORING && running) {
		threads_pause(threads_op(running));
		__builtin_unreachable();
	}
	longjmp(failed, 1);
}

/* ---- One access -------------------------------------------------------------- */

static size_t choices_of(unsigned t, struct choice *choices)
{
	const struct op *op = threads_op(t);
	if (!op)
		return 0;
	choices[0] = (struct choice){.thread = (uint8_t)t};
	switch (op->kind) {
	case OP_YIELD:
		return memory_yield(t, false);
	case OP_WAKE:
		return 1;
	case OP_RCU:
		return op->how != RCU_END || memory_rcu_is_quiet(t);
	case OP_SLEEP:
		if (!sleeps[t].asleep || sleeps[t].woken)
			return 1;
		choices[0].done = true;
		return op->how && timers;
	default:
		return memory_choices(op, t, choices);
	}
}

static bool do_sleep(const struct op *op, const struct choice *c)
{
	unsigned t = c->thread;
	if (memory_newest(op->location, t) == op->value && !sleeps[t].asleep) {
		sleeps[t].asleep = true;
		return false;
	}
	timers -= c->done;
	sleeps[t].asleep = sleeps[t].woken = false;
	return true;
}

static void do_wake(const struct op *op)
{
	for (unsigned t = 1; t < MODEL_THREADS; t++) {
		const struct op *other = threads_op(t);
		if (sleeps[t].asleep && other->address == op->address) {
			sleeps[t].woken = true;
			return;
		}
	}
}

static void trace(unsigned t, const struct op *op, const struct choice *c)
{
	static const char *const kinds[] = {
		"load", "store", "rmw", "cas", "yield", "sleep", "wake", "rcu"};
	printf("  %u: %-5s %#lx %s%s%s found %#lx value %#lx %s  %s\n", t, kinds[op->kind],
		(unsigned long)op->address, op->order & ACQUIRE ? "a" : "",
		op->order & RELEASE ? "r" : "", op->order & SEQ_CST ? "s" : "",
		(unsigned long)op->found, (unsigned long)op->value,
		op->kind == OP_CAS && !c->done ? "failed" : "", site_describe(op->site));
}

/* False: the thread stays where it is. */
static bool do_access(const struct choice *c)
{
	unsigned t = c->thread;
	struct op *op = threads_op(t);
	bool done = true;
	switch (op->kind) {
	case OP_YIELD:
		memory_yield(t, true);
		break;
	case OP_WAKE:
		do_wake(op);
		break;
	case OP_RCU:
		memory_rcu(t, op->how);
		break;
	case OP_SLEEP:
		done = do_sleep(op, c);
		break;
	default:
		memory_do(op, c);
	}
	if (op->kind >= OP_YIELD)
		memory_note(t, (uint64_t)op->kind * 4 + done * 2 + c->done);
	if (tracing)
		trace(t, op, c);
	return done;
}

/* The thread that went last comes first: executions with few switches are tried first. */
static size_t all_choices(unsigned last, struct choice *choices)
{
	size_t n = 0;
	for (unsigned i = 0; i < MODEL_THREADS - 1; i++)
		n += choices_of(1 + (last - 1 + i) % (MODEL_THREADS - 1), choices + n);
	return n;
}

static void check_deadlock(void)
{
	for (unsigned t = 1; t < MODEL_THREADS; t++) {
		const struct op *op = threads_op(t);
		if (op && !(op->kind == OP_SLEEP && (op->how || t == scenario->helper)))
			model_fail("thread %u waits for ever in %s", t, site_describe(op->site));
	}
}

/* ---- One execution ----------------------------------------------------------- */

/* Chooses among n ways; the number of the one to take. */
static size_t choose(size_t n)
{
	if (depth == DEPTH_MAX)
		model_fail("more than %d accesses: does this end?", DEPTH_MAX);
	if (depth == length) {
		path[depth].choice = 0;
		path[depth].count = (uint16_t)n;
		length++;
	} else if (path[depth].count != n) {
		model_fail("the explorer found %u choices and now %zu", path[depth].count, n);
	}
	return path[depth++].choice;
}

/* True when it came to its end, and not to a state that was seen. */
static bool run_threads(void)
{
	static struct choice choices[CHOICES_MAX];
	unsigned last = 1;
	for (unsigned t = 1; t < MODEL_THREADS && !stopped; t++)
		if (scenario->thread[t - 1])
			threads_run(t);
	while (!stopped) {
		size_t n = all_choices(last, choices);
		if (n == 0)
			break;
		const struct choice *c = &choices[choose(n)];
		last = c->thread;
		if (do_access(c))
			threads_run(last);
		if (!stopped && depth == length && !seen_add(state_hash())) {
			result.merged++;
			return false;
		}
	}
	if (!stopped)
		check_deadlock();
	return !stopped;
}

static void run_once(void)
{
	depth = 0;
	stopped = false;
	timers = scenario->timers;
	memset(sleeps, 0, sizeof sleeps);
	memory_begin();
	races_begin();
	threads_begin(scenario);
	if (setjmp(failed) == 0) {
		phase = EXPLORING;
		bool ended = run_threads();
		phase = CHECKING;
		if (ended && scenario->check)
			scenario->check();
	}
	phase = SETTING_UP;
	undo_to(setup_mark);
}

/* ---- The search -------------------------------------------------------------- */

static uint64_t outcomes[OUTCOMES_MAX];
static size_t outcomes_count;

void model_outcome(uint64_t outcome)
{
	for (size_t i = 0; i < outcomes_count; i++)
		if (outcomes[i] == outcome)
			return;
	if (outcomes_count == OUTCOMES_MAX)
		model_fail("more than %d outcomes", OUTCOMES_MAX);
	outcomes[outcomes_count++] = outcome;
}

static bool was_outcome(uint64_t outcome)
{
	for (size_t i = 0; i < outcomes_count; i++)
		if (outcomes[i] == outcome)
			return true;
	return false;
}

static void compare_outcomes(void)
{
	size_t n = 0;
	for (; scenario->outcomes[n] != MODEL_NO_MORE; n++)
		if (!was_outcome(scenario->outcomes[n]))
			model_fail("outcome %#lx never came", (unsigned long)scenario->outcomes[n]);
	if (n != outcomes_count)
		model_fail("%zu outcomes, of which %zu are expected", outcomes_count, n);
}

/* The next list of choices; false when there is none. */
static bool advance(void)
{
	while (length && path[length - 1].choice + 1 == path[length - 1].count)
		length--;
	if (!length)
		return false;
	path[length - 1].choice++;
	return true;
}

static void begin_search(void)
{
	char failure[sizeof result.failure];
	memcpy(failure, result.failure, sizeof failure);
	memset(&result, 0, sizeof result);
	memset(seen, 0, seen_room * sizeof *seen);
	seen_count = outcomes_count = length = 0;
	again = false;
}

static void search(uint64_t most)
{
	begin_search();
	do {
		run_once();
		result.executions++;
		if (again)
			begin_search();
		else if (result.failure[0])
			return;
		else if (result.executions >= most)
			return;
	} while (!result.executions || advance());
	result.exhausted = true;
	if (scenario->outcomes && setjmp(failed) == 0)
		compare_outcomes();
}

struct result explore(const struct scenario *s, uint64_t most)
{
	size_t mark = undo_mark();
	scenario = s;
	memory_forget();
	threads_keep_own(false);
	phase = SETTING_UP;
	memset(&result, 0, sizeof result);
	if (setjmp(failed) == 0) {
		if (s->setup)
			s->setup();
		setup_mark = undo_mark();
		search(most);
	}
	phase = SETTING_UP;
	undo_to(mark);
	threads_keep_own(true);
	result.states = seen_count;
	return result;
}

/* ---- Called by threads ------------------------------------------------------- */

void thread_do(struct op *op)
{
	threads_pause(op);
}

_Noreturn void explore_again(void)
{
	again = stopped = true;
	threads_pause(threads_op(running));
	__builtin_unreachable();
}

unsigned model_self(void)
{
	return running;
}
