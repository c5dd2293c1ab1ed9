/*
 * base.h: the small vocabulary that every file uses. Owns nothing.
 */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if !defined(__x86_64__) || !defined(__linux__)
#error "hakmem supports Linux on x86-64 (47-bit user addresses) only"
#endif

#ifndef HAK_DEBUG
#define HAK_DEBUG 0
#endif
#ifndef HAK_SECURE
#define HAK_SECURE 0
#endif
/* 0: malloc and free check nothing of free blocks. Only to measure what that costs (bench-harden). */
#ifndef HAK_CHECKED
#define HAK_CHECKED 1
#endif
#ifndef HAK_TINY
#define HAK_TINY 0
#endif
#ifndef HAK_SANITIZE
#define HAK_SANITIZE 0
#endif
#ifndef HAK_TSAN
#define HAK_TSAN 0
#endif

/* memcheck and AddressSanitizer know blocks (make CHECKERS=1, base/checkers.h). */
#ifndef HAK_CHECKERS
#define HAK_CHECKERS 0
#endif

/* Signal handlers that were not installed through the library are safe too (make GUARD=1). */
#ifndef HAK_GUARD
#define HAK_GUARD HAK_SANITIZE
#endif

/*
 * Mistakes for tests to find (make PLANT=PURGE_ORDER): memory is published, or
 * its page let go, or left to its owner, before the kernel was told; a snapshot of what was learned is
 * published by a relaxed exchange, or used again without a grace period.
 */
#ifndef PLANT_PURGE_ORDER
#define PLANT_PURGE_ORDER 0
#endif
#ifndef PLANT_POLICY_ORDER
#define PLANT_POLICY_ORDER 0
#endif
#ifndef PLANT_POLICY_GRACE
#define PLANT_POLICY_GRACE 0
#endif
#ifndef PLANT_REAP_ORDER
#define PLANT_REAP_ORDER 0
#endif
#ifndef PLANT_TRIM_ORDER
#define PLANT_TRIM_ORDER 0
#endif

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define NOINLINE __attribute__((noinline))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define COLD __attribute__((cold, noinline))

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)
#define TIB ((size_t)1 << 40)

#define CACHE_LINE_BYTES 64
#define USER_ADDRESS_BITS 47

static inline bool is_pow2(size_t x)
{
	return x && !(x & (x - 1));
}

/* `align` is a power of two; the caller has excluded overflow. */
static inline uintptr_t align_up(uintptr_t x, uintptr_t align)
{
	return (x + align - 1) & ~(align - 1);
}

static inline uintptr_t align_down(uintptr_t x, uintptr_t align)
{
	return x & ~(align - 1);
}

static inline size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static inline size_t max_size(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* floor(log2(x)), x > 0 */
static inline unsigned log2_floor(size_t x)
{
	return 63u ^ (unsigned)__builtin_clzl(x);
}

#endif
