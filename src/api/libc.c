/*
 * libc.c: the C library's malloc family and its statistics calls, in the
 * shared library only. Semantics are glibc's where ISO C and POSIX leave a
 * choice.
 */
#include "api/stats.h"
#include "base/os.h"
#include "hakmem.h"
#include "tls/alloc.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* Not declared by this C library's headers: C23, and what glibc once had. */
void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);
void cfree(void *block);

EXPORT void *malloc(size_t size)
{
	return block_alloc(size);
}

EXPORT void free(void *block)
{
	block_free(block);
}

EXPORT void cfree(void *block)
{
	block_free(block);
}

EXPORT void free_sized(void *block, size_t size)
{
	hak_free_sized(block, size);
}

EXPORT void free_aligned_sized(void *block, size_t alignment, size_t size)
{
	hak_free_aligned_sized(block, alignment, size);
}

EXPORT void *calloc(size_t count, size_t size)
{
	return hak_calloc(count, size);
}

EXPORT void *realloc(void *block, size_t size)
{
	return block_resize(block, size);
}

EXPORT void *reallocarray(void *block, size_t count, size_t size)
{
	return hak_reallocarray(block, count, size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
	return hak_aligned_alloc(alignment, size);
}

/* As glibc: an alignment that is no power of two is rounded up to one. */
EXPORT void *memalign(size_t alignment, size_t size)
{
	if (alignment > SIZE_LIMIT / 2 + 1) {
		errno = EINVAL;
		return NULL;
	}
	size_t align = BLOCK_ALIGN;
	while (align < alignment)
		align *= 2;
	return alloc_aligned(size, align, false);
}

EXPORT int posix_memalign(void **block, size_t alignment, size_t size)
{
	return hak_posix_memalign(block, alignment, size);
}

EXPORT void *valloc(size_t size)
{
	return alloc_aligned(size, os_page_bytes(), false);
}

EXPORT void *pvalloc(size_t size)
{
	size_t page = os_page_bytes();
	if (size > SIZE_LIMIT - page) {
		errno = ENOMEM;
		return NULL;
	}
	return alloc_aligned(max_size(align_up(size, page), page), page, false);
}

EXPORT size_t malloc_usable_size(void *block)
{
	return block_bytes(block);
}

/* `pad` is what glibc would leave at the top of its heap; there is none here. */
EXPORT int malloc_trim(size_t pad)
{
	(void)pad;
	return hak_purge() > 0;
}

EXPORT struct mallinfo2 mallinfo2(void)
{
	struct hak_stats s;
	stats_fill(&s);
	size_t resident = s.live + s.cached + s.pooled + s.queued;
	return (struct mallinfo2){
		.arena = resident - s.whale_bytes,
		.hblks = s.whales,
		.hblkhd = s.whale_bytes,
		.uordblks = s.live - s.whale_bytes,
		.fordblks = resident - s.live,
		.keepcost = s.pooled,
	};
}

/* The old interface's fields are ints: they wrap, as glibc's do. */
EXPORT struct mallinfo mallinfo(void)
{
	struct mallinfo2 m = mallinfo2();
	return (struct mallinfo){
		.arena = (int)m.arena,
		.hblks = (int)m.hblks,
		.hblkhd = (int)m.hblkhd,
		.uordblks = (int)m.uordblks,
		.fordblks = (int)m.fordblks,
		.keepcost = (int)m.keepcost,
	};
}

/*
 * Accepted and ignored, as glibc reports success for them: none of these
 * tunes anything that exists here. An unknown parameter gives 0.
 */
EXPORT int mallopt(int parameter, int value)
{
	(void)value;
	switch (parameter) {
	case M_MXFAST:
	case M_TRIM_THRESHOLD:
	case M_TOP_PAD:
	case M_MMAP_THRESHOLD:
	case M_MMAP_MAX:
	case M_CHECK_ACTION:
	case M_PERTURB:
	case M_ARENA_TEST:
	case M_ARENA_MAX:
		return 1;
	default:
		return 0;
	}
}

EXPORT void malloc_stats(void)
{
	stats_print(STDERR_FILENO);
}

/* XML as glibc's reader expects at its root, with our totals. */
EXPORT int malloc_info(int kind, FILE *stream)
{
	struct hak_stats s;
	if (kind != 0) {
		errno = EINVAL;
		return -1;
	}
	stats_fill(&s);
	int n = fprintf(stream,
		"<malloc version=\"1\">\n"
		"<total type=\"rest\" count=\"%lu\" size=\"%lu\"/>\n"
		"<total type=\"mmap\" count=\"%lu\" size=\"%lu\"/>\n"
		"<system type=\"current\" size=\"%lu\"/>\n"
		"<aspace type=\"total\" size=\"%lu\"/>\n"
		"<aspace type=\"mprotect\" size=\"%lu\"/>\n"
		"</malloc>\n",
		s.live_blocks, s.cached + s.pooled, s.whales, s.whale_bytes,
		s.live + s.cached + s.pooled + s.queued, s.reserved, s.mapped);
	return n < 0 ? -1 : 0;
}
