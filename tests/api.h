/*
 * api.h: one test source, two forms. A test_api_*.c calls a_malloc, a_free and so on:
 * - TEST_FORM_HAK: the hak_* names of the archive, in every build, also under the sanitizers;
 * - otherwise: the libc names, run with the library preloaded, which api_begin proves first.
 */
#ifndef HAK_TEST_API_H
#define HAK_TEST_API_H

#include "test.h"

#ifdef __cplusplus
extern "C" {
#endif

#if TEST_FORM_HAK

#include "hakmem.h"

#define a_malloc hak_malloc
#define a_calloc hak_calloc
#define a_realloc hak_realloc
#define a_reallocarray hak_reallocarray
#define a_free hak_free
#define a_aligned_alloc hak_aligned_alloc
#define a_posix_memalign hak_posix_memalign
#define a_usable_size hak_usable_size
#define a_free_sized hak_free_sized
#define a_free_aligned_sized hak_free_aligned_sized
#define a_trim() ((void)hak_purge())

static inline void api_begin(void)
{
}

#else

#include <malloc.h>
#include <stdlib.h>

#define a_malloc malloc
#define a_calloc calloc
#define a_realloc realloc
#define a_reallocarray reallocarray
#define a_free free
#define a_aligned_alloc aligned_alloc
#define a_posix_memalign posix_memalign
#define a_usable_size malloc_usable_size
#define a_trim() ((void)malloc_trim(0))

/* glibc 2.36 does not declare the two frees of C23: found by name. */
void a_free_sized(void *block, size_t size);
void a_free_aligned_sized(void *block, size_t alignment, size_t size);

/*
 * Ends the test unless malloc is the library named by HAK_TEST_PRELOAD: it must be mapped, and
 * malloc, free and realloc must lie in it.
 */
void api_begin(void);

#endif

/* The file in which `symbol` is found first, or NULL; the text stays with the loader. */
const char *symbol_file(const char *symbol);

#ifdef __cplusplus
}
#endif
#endif
