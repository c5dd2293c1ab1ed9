/*
 * atomic.h: atomics by the order they name, and counters with one writer.
 *
 * There is no fence here on purpose: ThreadSanitizer cannot see fences, so
 * every order in hakmem is carried by the access itself.
 */
#ifndef BASE_ATOMIC_H
#define BASE_ATOMIC_H

#include "base/base.h"

#include <stdatomic.h>

#define load_rlx(p) atomic_load_explicit((p), memory_order_relaxed)
#define load_acq(p) atomic_load_explicit((p), memory_order_acquire)
#define load_sc(p) atomic_load_explicit((p), memory_order_seq_cst)
#define store_rlx(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define store_rel(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define store_sc(p, v) atomic_store_explicit((p), (v), memory_order_seq_cst)

#define xchg_rlx(p, v) atomic_exchange_explicit((p), (v), memory_order_relaxed)
#define xchg_acq_rel(p, v) atomic_exchange_explicit((p), (v), memory_order_acq_rel)
#define xchg_sc(p, v) atomic_exchange_explicit((p), (v), memory_order_seq_cst)

#define add_sc(p, v) atomic_fetch_add_explicit((p), (v), memory_order_seq_cst)
#define add_rlx(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define sub_rlx(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)
#define or_sc(p, v) atomic_fetch_or_explicit((p), (v), memory_order_seq_cst)
#define or_rlx(p, v) atomic_fetch_or_explicit((p), (v), memory_order_relaxed)
#define or_rel(p, v) atomic_fetch_or_explicit((p), (v), memory_order_release)
#define and_rlx(p, v) atomic_fetch_and_explicit((p), (v), memory_order_relaxed)
#define and_acq(p, v) atomic_fetch_and_explicit((p), (v), memory_order_acquire)
#define and_sc(p, v) atomic_fetch_and_explicit((p), (v), memory_order_seq_cst)

/* For what a signal handler of the same thread sees: the processor keeps that order by itself. */
#define compiler_barrier() __asm__ volatile("" : : : "memory")

/* Strong unless named weak; on failure *expected holds what was found. */
#define cas_rlx(p, expected, v)                                                                    \
	atomic_compare_exchange_strong_explicit(                                                   \
		(p), (expected), (v), memory_order_relaxed, memory_order_relaxed)
#define cas_sc(p, expected, v)                                                                     \
	atomic_compare_exchange_strong_explicit(                                                   \
		(p), (expected), (v), memory_order_seq_cst, memory_order_relaxed)
#define cas_acq(p, expected, v)                                                                    \
	atomic_compare_exchange_strong_explicit(                                                   \
		(p), (expected), (v), memory_order_acquire, memory_order_relaxed)
#define cas_acq_rel(p, expected, v)                                                                \
	atomic_compare_exchange_strong_explicit(                                                   \
		(p), (expected), (v), memory_order_acq_rel, memory_order_acquire)
#define cas_weak_acq(p, expected, v)                                                               \
	atomic_compare_exchange_weak_explicit(                                                     \
		(p), (expected), (v), memory_order_acquire, memory_order_relaxed)
#define cas_weak_rel(p, expected, v)                                                               \
	atomic_compare_exchange_weak_explicit(                                                     \
		(p), (expected), (v), memory_order_release, memory_order_relaxed)
#define cas_weak_acq_rel(p, expected, v)                                                           \
	atomic_compare_exchange_weak_explicit(                                                     \
		(p), (expected), (v), memory_order_acq_rel, memory_order_acquire)
#define cas_weak_sc(p, expected, v)                                                                \
	atomic_compare_exchange_weak_explicit(                                                     \
		(p), (expected), (v), memory_order_seq_cst, memory_order_relaxed)

/*
 * Counters that one thread at a time writes and anybody reads. A relaxed load
 * and store is all that C11 asks for; compilers do not fuse the pair into one
 * instruction, so on x86 it is written out. The sanitizers get the C form.
 */
typedef _Atomic(uint32_t) counter32;
typedef _Atomic(uint64_t) counter64;

#if HAK_SANITIZE
static ALWAYS_INLINE void counter32_inc(counter32 *c)
{
	store_rlx(c, load_rlx(c) + 1);
}

static ALWAYS_INLINE bool counter32_dec_to_zero(counter32 *c)
{
	uint32_t v = load_rlx(c) - 1;
	store_rlx(c, v);
	return v == 0;
}
#else
static ALWAYS_INLINE void counter32_inc(counter32 *c)
{
	__asm__("incl %0" : "+m"(*(uint32_t *)c) : : "cc");
}

static ALWAYS_INLINE bool counter32_dec_to_zero(counter32 *c)
{
	bool zero;
	__asm__("decl %0" : "+m"(*(uint32_t *)c), "=@ccz"(zero));
	return zero;
}
#endif

static inline void counter64_add(counter64 *c, uint64_t n)
{
	store_rlx(c, load_rlx(c) + n);
}

#endif
