/*
 * hooks.c: what the compiler calls at every access of code that it has made ready for
 * ThreadSanitizer, and what that code calls of the C library and the kernel.
 */
#include "internal.h"

#include <stdio.h>
#include <string.h>

#define HIDDEN __attribute__((visibility("hidden")))
#define IGNORED_MAX 256

static struct {
	uintptr_t start, end;
	bool trusted;
} ignored[IGNORED_MAX];
static size_t ignored_count;

void hooks_forget(void)
{
	ignored_count = 0;
}

static void ignore(const volatile void *p, size_t bytes, bool trusted)
{
	if (ignored_count == IGNORED_MAX)
		model_fail("more than %d ranges are ignored", IGNORED_MAX);
	ignored[ignored_count].start = (uintptr_t)p;
	ignored[ignored_count].trusted = trusted;
	ignored[ignored_count++].end = (uintptr_t)p + bytes;
}

void model_ignore(const volatile void *p, size_t bytes)
{
	ignore(p, bytes, false);
}

void model_trust(const volatile void *p, size_t bytes)
{
	ignore(p, bytes, true);
}

static bool is_ignored(uintptr_t address, unsigned order)
{
	for (size_t i = 0; i < ignored_count; i++)
		if (address >= ignored[i].start && address < ignored[i].end) {
			if (ignored[i].trusted)
				memory_trust(running, order);
			return true;
		}
	return false;
}

/* ---- Plain accesses ---------------------------------------------------------- */

static void plain(const volatile void *p, size_t bytes, enum access access)
{
	uintptr_t address = (uintptr_t)p;
	if (is_stack(address))
		return;
	if (phase == EXPLORING && running) {
		races_access(running, address, bytes, access);
		if (access == PLAIN_WRITE)
			memory_changed(address, bytes, running);
	}
	if (access == PLAIN_WRITE)
		undo_log(address, bytes);
}

#define PLAIN(bytes)                                                                               \
	void __tsan_read##bytes(void *p);                                                          \
	void __tsan_write##bytes(void *p);                                                         \
	void __tsan_unaligned_read##bytes(void *p);                                                \
	void __tsan_unaligned_write##bytes(void *p);                                               \
	HIDDEN void __tsan_read##bytes(void *p)                                                    \
	{                                                                                          \
		plain(p, bytes, PLAIN_READ);                                                       \
	}                                                                                          \
	HIDDEN void __tsan_write##bytes(void *p)                                                   \
	{                                                                                          \
		plain(p, bytes, PLAIN_WRITE);                                                      \
	}                                                                                          \
	HIDDEN void __tsan_unaligned_read##bytes(void *p)                                          \
	{                                                                                          \
		plain(p, bytes, PLAIN_READ);                                                       \
	}                                                                                          \
	HIDDEN void __tsan_unaligned_write##bytes(void *p)                                         \
	{                                                                                          \
		plain(p, bytes, PLAIN_WRITE);                                                      \
	}
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_init(void);
void __tsan_func_entry(void *caller);
void __tsan_func_exit(void);
void __tsan_read_range(void *p, unsigned long bytes);
void __tsan_write_range(void *p, unsigned long bytes);

HIDDEN void __tsan_init(void)
{
}

HIDDEN void __tsan_func_entry(void *caller)
{
	(void)caller;
}

HIDDEN void __tsan_func_exit(void)
{
}

HIDDEN void __tsan_read_range(void *p, unsigned long bytes)
{
	plain(p, bytes, PLAIN_READ);
}

HIDDEN void __tsan_write_range(void *p, unsigned long bytes)
{
	plain(p, bytes, PLAIN_WRITE);
}

/* The instrumented code's calls go here: the Makefile renames them. */
void *model_memcpy(void *to, const void *from, size_t bytes);
void *model_memmove(void *to, const void *from, size_t bytes);
void *model_memset(void *to, int byte, size_t bytes);
int model_sched_yield(void);

void *model_memcpy(void *to, const void *from, size_t bytes)
{
	plain(from, bytes, PLAIN_READ);
	plain(to, bytes, PLAIN_WRITE);
	return memcpy(to, from, bytes);
}

void *model_memmove(void *to, const void *from, size_t bytes)
{
	plain(from, bytes, PLAIN_READ);
	plain(to, bytes, PLAIN_WRITE);
	return memmove(to, from, bytes);
}

void *model_memset(void *to, int byte, size_t bytes)
{
	plain(to, bytes, PLAIN_WRITE);
	return memset(to, byte, bytes);
}

int model_sched_yield(void)
{
	model_yield();
	return 0;
}

/* ---- Atomic accesses --------------------------------------------------------- */

static unsigned order_bits(int order)
{
	static const unsigned bits[] = {
		0, ACQUIRE, ACQUIRE, RELEASE, ACQUIRE | RELEASE, ACQUIRE | RELEASE | SEQ_CST};
	return bits[order];
}

static uint64_t newest(const struct op *op)
{
	uint64_t value = 0;
	memcpy(&value, (void *)op->address, op->bytes);
	return value;
}

static uint64_t applied(const struct op *op, uint64_t old)
{
	uint64_t v = op->value;
	switch (op->kind == OP_RMW ? (enum rmw)op->how : RMW_EXCHANGE) {
	case RMW_ADD:
		return old + v;
	case RMW_SUB:
		return old - v;
	case RMW_AND:
		return old & v;
	case RMW_OR:
		return old | v;
	case RMW_XOR:
		return old ^ v;
	default:
		return v;
	}
}

/* Where the order does not matter. */
static void do_directly(struct op *op)
{
	op->found = newest(op);
	op->done = op->kind != OP_CAS || op->found == op->expected;
	if (op->kind == OP_LOAD || !op->done)
		return;
	uint64_t value = applied(op, op->found);
	if (!is_stack(op->address))
		undo_log(op->address, op->bytes);
	memcpy((void *)op->address, &value, op->bytes);
}

static void atomic(struct op *op)
{
	bool restart = false;
	if (phase != EXPLORING || !running || is_stack(op->address) ||
		is_ignored(op->address, op->order)) {
		do_directly(op);
		return;
	}
	op->order = site_order(op->site, op->kind, op->order);
	if (op->kind == OP_CAS)
		op->order_failed &= op->order;
	races_access(
		running, op->address, op->bytes, op->kind == OP_LOAD ? ATOMIC_READ : ATOMIC_WRITE);
	if (!memory_matters(op, running, &restart)) {
		memory_read_other(running);
		do_directly(op);
	} else if (restart) {
		explore_again();
	} else {
		thread_do(op);
	}
}

#define OP(k, p, o, v)                                                                             \
	struct op op = {.kind = (k),                                                               \
		.address = (uintptr_t)(p),                                                         \
		.bytes = sizeof *(p),                                                              \
		.order = order_bits(o),                                                            \
		.value = (uint64_t)(v),                                                            \
		.site = __builtin_return_address(0)}

#define RMW(bits, name, what)                                                                      \
	uint##bits##_t __tsan_atomic##bits##_##name(uint##bits##_t *p, uint##bits##_t v, int o);   \
	HIDDEN uint##bits##_t __tsan_atomic##bits##_##name(                                        \
		uint##bits##_t *p, uint##bits##_t v, int o)                                        \
	{                                                                                          \
		OP(OP_RMW, p, o, v);                                                               \
		op.how = what;                                                                     \
		atomic(&op);                                                                       \
		return (uint##bits##_t)op.found;                                                   \
	}

/* Strong and weak alike: a weak one that fails for no reason would only be repeated. */
#define CAS(bits, name)                                                                            \
	int __tsan_atomic##bits##_compare_exchange_##name(                                         \
		uint##bits##_t *p, uint##bits##_t *expected, uint##bits##_t v, int o, int failed); \
	HIDDEN int __tsan_atomic##bits##_compare_exchange_##name(                                  \
		uint##bits##_t *p, uint##bits##_t *expected, uint##bits##_t v, int o, int failed)  \
	{                                                                                          \
		OP(OP_CAS, p, o, v);                                                               \
		op.expected = *expected;                                                           \
		op.order_failed = order_bits(failed);                                              \
		atomic(&op);                                                                       \
		if (!op.done)                                                                      \
			*expected = (uint##bits##_t)op.found;                                      \
		return op.done;                                                                    \
	}

#define ATOMIC(bits)                                                                               \
	uint##bits##_t __tsan_atomic##bits##_load(uint##bits##_t *p, int o);                       \
	void __tsan_atomic##bits##_store(uint##bits##_t *p, uint##bits##_t v, int o);              \
	uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(                                 \
		uint##bits##_t *p, uint##bits##_t expected, uint##bits##_t v, int o, int failed);  \
	HIDDEN uint##bits##_t __tsan_atomic##bits##_load(uint##bits##_t *p, int o)                 \
	{                                                                                          \
		OP(OP_LOAD, p, o, 0);                                                              \
		atomic(&op);                                                                       \
		return (uint##bits##_t)op.found;                                                   \
	}                                                                                          \
	HIDDEN void __tsan_atomic##bits##_store(uint##bits##_t *p, uint##bits##_t v, int o)        \
	{                                                                                          \
		OP(OP_STORE, p, o, v);                                                             \
		atomic(&op);                                                                       \
	}                                                                                          \
	HIDDEN uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(                          \
		uint##bits##_t *p, uint##bits##_t expected, uint##bits##_t v, int o, int failed)   \
	{                                                                                          \
		OP(OP_CAS, p, o, v);                                                               \
		op.expected = expected;                                                            \
		op.order_failed = order_bits(failed);                                              \
		atomic(&op);                                                                       \
		return (uint##bits##_t)op.found;                                                   \
	}                                                                                          \
	CAS(bits, strong)                                                                          \
	CAS(bits, weak)                                                                            \
	RMW(bits, exchange, RMW_EXCHANGE)                                                          \
	RMW(bits, fetch_add, RMW_ADD)                                                              \
	RMW(bits, fetch_sub, RMW_SUB)                                                              \
	RMW(bits, fetch_and, RMW_AND)                                                              \
	RMW(bits, fetch_or, RMW_OR)                                                                \
	RMW(bits, fetch_xor, RMW_XOR)

ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

/* ---- Sleeping, RCU, the kernel ------------------------------------------------ */

static void do_other(struct op *op)
{
	bool restart = false;
	op->site = __builtin_return_address(0);
	if (phase != EXPLORING || !running)
		return;
	if ((op->kind == OP_SLEEP || op->kind == OP_WAKE) &&
		memory_matters(op, running, &restart) && restart)
		explore_again();
	thread_do(op);
}

void model_yield(void)
{
	struct op op = {.kind = OP_YIELD};
	do_other(&op);
}

void model_sleep(_Atomic(uint32_t) *word, uint32_t value, bool limited)
{
	struct op op = {.kind = OP_SLEEP,
		.address = (uintptr_t)word,
		.bytes = sizeof *word,
		.value = value,
		.how = limited};
	do_other(&op);
}

void model_wake(_Atomic(uint32_t) *word)
{
	struct op op = {.kind = OP_WAKE, .address = (uintptr_t)word, .bytes = sizeof *word};
	do_other(&op);
}

static void do_rcu(enum rcu what)
{
	struct op op = {.kind = OP_RCU, .how = what};
	do_other(&op);
}

void model_rcu_lock(void)
{
	do_rcu(RCU_LOCK);
}

void model_rcu_unlock(void)
{
	do_rcu(RCU_UNLOCK);
}

void model_rcu_wait(void)
{
	do_rcu(RCU_BEGIN);
	do_rcu(RCU_END);
}

void model_write_range(void *start, size_t bytes)
{
	if (phase == EXPLORING && running)
		races_write_range(running, (uintptr_t)start, bytes);
}
