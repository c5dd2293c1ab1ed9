/*
 * blocks.c: the hak_* functions for blocks; see hakmem.h. checked.c has the
 * same ones for programs that are looked at by other tools.
 */
#include "hakmem.h"

#include "base/check.h"
#include "tls/alloc.h"
#include "tls/first_class.h"

#include <errno.h>

void *hak_malloc(size_t size)
{
	return block_alloc(size);
}

void hak_free(void *block)
{
	block_free(block);
}

void *hak_calloc(size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return alloc_zeroed(bytes);
}

void *hak_realloc(void *block, size_t size)
{
	return block_resize(block, size);
}

void *hak_reallocarray(void *block, size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return block_resize(block, bytes);
}

void *hak_alloc(size_t size, size_t alignment, unsigned flags)
{
	if (alignment && !is_pow2(alignment)) {
		errno = EINVAL;
		return NULL;
	}
	return alloc_aligned(size, alignment, flags & HAK_ZERO);
}

void *hak_aligned_alloc(size_t alignment, size_t size)
{
	return hak_alloc(size, alignment, 0);
}

int hak_posix_memalign(void **block, size_t alignment, size_t size)
{
	if (!is_pow2(alignment) || alignment % sizeof(void *))
		return EINVAL;
	int saved = errno;
	void *p = alloc_aligned(size, alignment, false);
	errno = saved;
	if (!p)
		return ENOMEM;
	*block = p;
	return 0;
}

void hak_free_sized(void *block, size_t size)
{
	block_check_size(block, size, BLOCK_ALIGN, true);
	block_free(block);
}

void hak_free_aligned_sized(void *block, size_t alignment, size_t size)
{
	CHECK(is_pow2(alignment), "free_aligned_sized(%p, %zu, %zu): that is no alignment", block,
		alignment, size);
	block_check_size(block, size, max_size(alignment, BLOCK_ALIGN), true);
	block_free(block);
}

size_t hak_usable_size(const void *block)
{
	return block_bytes(block);
}

void *hak_heap_alloc(hak_heap *heap, size_t size, size_t alignment, unsigned flags)
{
	if (alignment && !is_pow2(alignment)) {
		errno = EINVAL;
		return NULL;
	}
	return first_class_alloc(heap, size, max_size(alignment, BLOCK_ALIGN), flags & HAK_ZERO);
}
