/*
 * hakmem.c: the hak_* functions; see hakmem.h.
 */
#include "hakmem.h"

#include "base/check.h"
#include "base/options.h"
#include "base/os.h"
#include "base/rcu.h"
#include "numa/place.h"
#include "policy/choice.h"
#include "policy/file.h"
#include "segments/guard.h"
#include "tls/alloc.h"
#include "tls/first_class.h"
#include "tls/foreign.h"
#include "tls/helper.h"
#include "tls/thread.h"
#include "tls/verify.h"

#include <errno.h>

const char *hak_version(void)
{
	return HAK_VERSION_STRING;
}

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

hak_heap *hak_heap_create(void)
{
	return first_class_create(place_shard());
}

hak_heap *hak_heap_create_on(int node)
{
	unsigned number = node < 0 ? NODE_NONE : topology_number((unsigned)node);
	if (number == NODE_NONE) {
		errno = EINVAL;
		return NULL;
	}
	return first_class_create(number);
}

hak_heap *hak_heap_create_interleaved(void)
{
	return first_class_create(place_interleaved());
}

int hak_node_of(const void *block)
{
	bool guarded = block && guard_has(block);
	if (!block || (uintptr_t)block % BLOCK_ALIGN || (!guarded && !foreign_is_ours(block))) {
		errno = EINVAL;
		return -1;
	}
	void *page = (void *)align_down((uintptr_t)block, os_page_bytes());
	int node, saved = errno;
	bool known = !load_rlx(&options.x_nodes) && os_pages_nodes(&page, &node, 1) && node >= 0;
	errno = saved;
	if (known || guarded)
		return known ? node : -1;
	return topology_os(block_page(block)->node);
}

int hak_numa_refresh(void)
{
	return topology_refresh() ? 0 : -1;
}

void *hak_heap_alloc(hak_heap *heap, size_t size, size_t alignment, unsigned flags)
{
	if (alignment && !is_pow2(alignment)) {
		errno = EINVAL;
		return NULL;
	}
	return first_class_alloc(heap, size, max_size(alignment, BLOCK_ALIGN), flags & HAK_ZERO);
}

void hak_heap_destroy(hak_heap *heap)
{
	if (heap)
		first_class_destroy(heap);
}

size_t hak_purge(void)
{
	int saved = errno;
	thread_flush();
	size_t bytes = helper_purge_all();
	errno = saved;
	return bytes;
}

int hak_helper_start(void)
{
	if (choice_has_learned())
		rcu_start();
	int r = helper_start(pthread_create);
	if (r)
		errno = r;
	return r ? -1 : 0;
}

int hak_policy_save(void)
{
	return policy_file_save() ? 0 : -1;
}

int hak_option_set(const char *name, const char *value)
{
	return option_set(name, value);
}

int hak_option_get(const char *name, char *text, size_t bytes)
{
	return option_get(name, text, bytes);
}

size_t hak_verify(void)
{
	helper_pause();
	size_t pages = verify_all();
	helper_resume();
	return pages;
}
