/*
 * checkers.h: what memcheck and AddressSanitizer are told of blocks, in a library made
 * with CHECKERS=1 (api/checked.c); nothing otherwise. To them free memory cannot be
 * accessed, so what the library does there is not reported.
 */
#ifndef BASE_CHECKERS_H
#define BASE_CHECKERS_H

#include "base/base.h"

#if HAK_CHECKERS

#include <valgrind/memcheck.h>

/* In a program built with -fsanitize=address. */
extern void __asan_poison_memory_region(const volatile void *, size_t) __attribute__((weak));
extern void __asan_unpoison_memory_region(const volatile void *, size_t) __attribute__((weak));
extern void __lsan_register_root_region(const void *, size_t) __attribute__((weak));
extern void __lsan_unregister_root_region(const void *, size_t) __attribute__((weak));

/* Between these, memcheck reports nothing of this thread. They nest. */
static inline void checkers_off(void)
{
	VALGRIND_DISABLE_ERROR_REPORTING;
}

static inline void checkers_on(void)
{
	VALGRIND_ENABLE_ERROR_REPORTING;
}

/* Memory for blocks: pointers in there count for LeakSanitizer. */
static inline void checkers_memory(const void *start, size_t bytes)
{
	if (__lsan_register_root_region)
		__lsan_register_root_region(start, bytes);
}

struct checkers_block {
	void *p;          /* what the program has of it */
	size_t size;      /* so many bytes */
	char *start;      /* all of it */
	size_t bytes;     /* so many bytes */
	const void *heap; /* a first-class one, or NULL */
	bool mapped;      /* by itself: its addresses may become anybody's */
};

static inline void checkers_alloc(const struct checkers_block *b)
{
	VALGRIND_MAKE_MEM_NOACCESS(b->start, b->bytes);
	if (b->heap)
		VALGRIND_MEMPOOL_ALLOC(b->heap, b->p, b->size);
	else
		VALGRIND_MALLOCLIKE_BLOCK(b->p, b->size, 0, 0);
	if (__asan_poison_memory_region) {
		__asan_poison_memory_region(b->start, b->bytes);
		__asan_unpoison_memory_region(b->p, b->size);
	}
	if (b->mapped && __lsan_register_root_region)
		__lsan_register_root_region(b->p, b->size);
}

static inline void checkers_free(const struct checkers_block *b)
{
	if (b->heap)
		VALGRIND_MEMPOOL_FREE(b->heap, b->p);
	else
		VALGRIND_FREELIKE_BLOCK(b->p, 0);
	if (b->mapped && __lsan_unregister_root_region)
		__lsan_unregister_root_region(b->p, b->size);
	if (b->mapped && __asan_unpoison_memory_region)
		__asan_unpoison_memory_region(b->start, b->bytes);
	else if (__asan_poison_memory_region)
		__asan_poison_memory_region(b->start, b->bytes);
}

/* A first-class heap begins (NULL: none was made), and ends with all its blocks. */
static inline void *checkers_heap(void *heap)
{
	if (heap)
		VALGRIND_CREATE_MEMPOOL(heap, 0, 0);
	return heap;
}

static inline void checkers_heap_ends(void *heap)
{
	VALGRIND_DESTROY_MEMPOOL(heap);
}

static inline bool checkers_valgrind(void)
{
	return RUNNING_ON_VALGRIND;
}

#else

static inline void checkers_off(void)
{
}

static inline void checkers_on(void)
{
}

static inline void checkers_memory(const void *start, size_t bytes)
{
	(void)start;
	(void)bytes;
}

static inline void *checkers_heap(void *heap)
{
	return heap;
}

static inline void checkers_heap_ends(void *heap)
{
	(void)heap;
}

static inline bool checkers_valgrind(void)
{
	return false;
}

#endif

#endif
