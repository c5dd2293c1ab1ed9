/*
 * hakmem.c: the hak_* functions but those for blocks (blocks.c); see hakmem.h.
 */
#include "hakmem.h"

#include "base/checkers.h"
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

hak_heap *hak_heap_create(void)
{
	return checkers_heap(first_class_create(place_shard()));
}

hak_heap *hak_heap_create_on(int node)
{
	unsigned number = node < 0 ? NODE_NONE : topology_number((unsigned)node);
	if (number == NODE_NONE) {
		errno = EINVAL;
		return NULL;
	}
	return checkers_heap(first_class_create(number));
}

hak_heap *hak_heap_create_interleaved(void)
{
	return checkers_heap(first_class_create(place_interleaved()));
}

void hak_heap_destroy(hak_heap *heap)
{
	if (!heap)
		return;
	checkers_heap_ends(heap);
	checkers_off();
	first_class_destroy(heap);
	checkers_on();
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

size_t hak_purge(void)
{
	int saved = errno;
	checkers_off();
	thread_flush();
	size_t bytes = helper_purge_all();
	checkers_on();
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
	helper_pause(UINT32_MAX);
	checkers_off();
	size_t pages = verify_all();
	checkers_on();
	helper_resume();
	return pages;
}
