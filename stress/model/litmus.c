/*
 * litmus.c: the explorer itself is tested: small programs of which C11 says exactly
 * what may come out, and programs in error, which it must find to be so.
 */
#include "explore.h"

static _Atomic(uint32_t) x, y, flag;
static unsigned plain, seen[MODEL_THREADS];

#define store_sc(p, v) atomic_store_explicit((p), (v), memory_order_seq_cst)
#define OUTCOMES(...)                                                                              \
	(const uint64_t[])                                                                         \
	{                                                                                          \
		__VA_ARGS__, MODEL_NO_MORE                                                         \
	}

static void outcome(void)
{
	model_outcome(seen[1] * 1000 + seen[2] * 100 + seen[3] * 10 + seen[4]);
}

/* Message passing. */

static void send_release(void)
{
	plain = 1;
	store_rel(&flag, 1);
}

static void send_relaxed(void)
{
	plain = 1;
	store_rlx(&flag, 1);
}

static void receive_acquire(void)
{
	seen[2] = load_acq(&flag) ? plain : 2;
}

static void receive_relaxed(void)
{
	seen[2] = load_rlx(&flag) ? plain : 2;
}

static void send_atomic(void)
{
	store_rlx(&x, 1);
	store_rlx(&flag, 1);
}

static void receive_atomic(void)
{
	seen[2] = load_acq(&flag) * 2;
	seen[2] += load_rlx(&x);
}

/* A release that others continue by read-modify-writes, and one that a store ends. */

static void add_one(void)
{
	if (load_rlx(&flag) == 1)
		add_rlx(&flag, 1);
}

static void store_two(void)
{
	if (load_rlx(&flag) == 1)
		store_rlx(&flag, 2);
}

static void receive_two(void)
{
	if (load_acq(&flag) == 2)
		seen[3] = plain;
}

/* Store buffering. */

static void x_then_y_sc(void)
{
	store_sc(&x, 1);
	seen[1] = load_sc(&y);
}

static void y_then_x_sc(void)
{
	store_sc(&y, 1);
	seen[2] = load_sc(&x);
}

static void y_then_x_acq_rel(void)
{
	xchg_acq_rel(&y, 1);
	seen[2] = load_acq(&x);
}

static void y_then_x_sc_rlx(void)
{
	store_sc(&y, 1);
	seen[2] = load_rlx(&x);
}

/* Readers of two writers, who know of each other or do not. */

static void write_x_rel(void)
{
	store_rel(&x, 1);
}

static void write_x_sc(void)
{
	store_sc(&x, 1);
}

static void read_x_write_y_sc(void)
{
	seen[2] = load_acq(&x);
	store_sc(&y, 1);
}

static void read_y_x_acq(void)
{
	seen[3] = load_acq(&y) * 2;
	seen[3] += load_acq(&x);
}

static void read_y_x_sc(void)
{
	seen[3] = load_sc(&y) * 2;
	seen[3] += load_sc(&x);
}

static void write_y_rel(void)
{
	store_rel(&y, 1);
}

static void write_y_sc(void)
{
	store_sc(&y, 1);
}

static void read_x_y_acq(void)
{
	seen[4] = load_acq(&x) * 2;
	seen[4] += load_acq(&y);
}

static void read_x_y_sc(void)
{
	seen[4] = load_sc(&x) * 2;
	seen[4] += load_sc(&y);
}

/* A thread that reads x twice, and one that reads after it was told. */

static void x_twice(void)
{
	store_rlx(&x, 1);
	store_rlx(&x, 2);
}

static void read_x_twice(void)
{
	seen[2] = load_rlx(&x) * 3;
	seen[2] += load_rlx(&x);
}

/* Two stores each, in both orders: which are the last ones? */

static void x1_y2(void)
{
	store_rlx(&x, 1);
	store_rlx(&y, 2);
}

static void y1_x2(void)
{
	store_rlx(&y, 1);
	store_rlx(&x, 2);
}

static void last_ones(void)
{
	model_outcome(load_rlx(&x) * 10 + load_rlx(&y));
}

/* Read-modify-writes. */

static void add(void)
{
	seen[model_self()] = add_rlx(&x, 1);
}

static void cas(void)
{
	uint32_t none = 0;
	seen[model_self()] = cas_rlx(&x, &none, model_self()) ? 9 : none;
}

static void lock_and_write(void)
{
	uint32_t none = 0;
	if (cas_acq(&flag, &none, 1)) {
		plain++;
		store_rel(&flag, 0);
	}
}

static void lock_badly(void)
{
	uint32_t none = 0;
	if (cas_acq(&flag, &none, 1)) {
		plain++;
		store_rlx(&flag, 0);
	}
}

/* Waiting. */

static void wait_for_flag(void)
{
	while (!load_acq(&flag))
		model_yield();
	seen[2] = plain;
}

static void sleep_for_flag(void)
{
	while (!load_acq(&flag))
		model_sleep(&flag, 0, false);
	seen[2] = plain;
}

static void send_and_wake(void)
{
	plain = 1;
	store_rel(&flag, 1);
	model_wake(&flag);
}

static void wait_and_store_x(void)
{
	store_rlx(&x, 1);
	while (!load_rlx(&y))
		model_yield();
}

/* RCU: what was published before is overwritten after a grace period. */

static _Atomic(unsigned *) current;
static unsigned data[2];

static void rcu_setup(void)
{
	data[0] = 5;
	atomic_store_explicit(&current, &data[0], memory_order_relaxed);
}

static void rcu_read(void)
{
	model_rcu_lock();
	seen[2] = *load_acq(&current);
	model_rcu_unlock();
}

static void rcu_write(void)
{
	data[1] = 6;
	store_rel(&current, &data[1]);
	model_rcu_wait();
	data[0] = 0;
}

static void rcu_write_early(void)
{
	data[1] = 6;
	store_rel(&current, &data[1]);
	data[0] = 0;
}

#define LITMUS(text, expected, ...)                                                                \
	{                                                                                          \
		.model = "litmus", .name = text, .check = outcome, .outcomes = expected,           \
		.thread = {__VA_ARGS__},                                                           \
	}
#define WRONG(text, message, ...)                                                                  \
	{                                                                                          \
		.model = "litmus", .name = text, .fails = message, .thread = {__VA_ARGS__},        \
	}

const struct scenario litmus_scenarios[] = {
	LITMUS("a message with release and acquire arrives whole", OUTCOMES(100, 200), send_release,
		receive_acquire),
	WRONG("a message without release races", "data race", send_relaxed, receive_acquire),
	WRONG("a message without acquire races", "data race", send_release, receive_relaxed),
	LITMUS("a message without release arrives in parts", OUTCOMES(0, 100, 200, 300),
		send_atomic, receive_atomic),
	LITMUS("a read-modify-write continues a release", OUTCOMES(0, 10), send_release, add_one,
		receive_two),
	WRONG("a store does not continue it", "data race", send_release, store_two, receive_two),
	LITMUS("seq_cst: one of two sees the other", OUTCOMES(100, 1000, 1100), x_then_y_sc,
		y_then_x_sc),
	LITMUS("acquire and release: neither need see the other", OUTCOMES(0, 100, 1000, 1100),
		x_then_y_sc, y_then_x_acq_rel),
	LITMUS("a relaxed load is in no order", OUTCOMES(0, 100, 1000, 1100), x_then_y_sc,
		y_then_x_sc_rlx),
	LITMUS("what was seen before a release is passed on",
		OUTCOMES(0, 10, 20, 30, 100, 110, 130), write_x_rel, read_x_write_y_sc,
		read_y_x_acq),
	LITMUS("seq_cst loads of a release store", OUTCOMES(0, 10, 20, 30, 100, 110, 130),
		write_x_rel, read_x_write_y_sc, read_y_x_sc),
	LITMUS("seq_cst stores and loads are in one order", OUTCOMES(0, 10, 20, 30, 100, 110, 130),
		write_x_sc, read_x_write_y_sc, read_y_x_sc),
	LITMUS("acquire: two readers may see two stores in two orders",
		OUTCOMES(0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23, 30, 31, 32, 33), write_x_rel,
		write_y_rel, read_y_x_acq, read_x_y_acq),
	LITMUS("seq_cst: they see them in one",
		OUTCOMES(0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 23, 30, 31, 32, 33), write_x_sc,
		write_y_sc, read_y_x_sc, read_x_y_sc),
	LITMUS("nobody reads backwards", OUTCOMES(0, 100, 200, 400, 500, 800), x_twice,
		read_x_twice),
	{.model = "litmus",
		.name = "stores to two places in two orders",
		.thread = {x1_y2, y1_x2},
		.check = last_ones,
		.outcomes = OUTCOMES(11, 12, 21, 22)},
	LITMUS("read-modify-writes lose nothing", OUTCOMES(120, 210, 1020, 1200, 2010, 2100), add,
		add, add),
	LITMUS("one compare-and-swap wins", OUTCOMES(2920, 3390, 9110), cas, cas, cas),
	LITMUS("a lock excludes", OUTCOMES(0), lock_and_write, lock_and_write, lock_and_write),
	WRONG("a lock that lacks release does not", "data race", lock_badly, lock_badly),
	LITMUS("who waits is told", OUTCOMES(100), send_release, wait_for_flag),
	LITMUS("who sleeps is woken", OUTCOMES(100), send_and_wake, sleep_for_flag),
	WRONG("nobody wakes who sleeps", "waits for ever", send_release, sleep_for_flag),
	WRONG("nobody comes", "waits for ever", wait_and_store_x),
	{.model = "litmus",
		.name = "a grace period ends after its readers",
		.setup = rcu_setup,
		.thread = {rcu_write, rcu_read},
		.check = outcome,
		.outcomes = OUTCOMES(500, 600)},
	{.model = "litmus",
		.name = "without one they race",
		.setup = rcu_setup,
		.thread = {rcu_write_early, rcu_read},
		.fails = "data race"},
	{.model = NULL},
};
