/*
 * foreign.c: see foreign.h.
 */
#include "tls/foreign.h"

#include "base/check.h"
#include "base/os.h"
#include "segments/map.h"
#include "tls/alloc.h"

#include <dlfcn.h>
#include <string.h>

/* The C library's own; absent where it does not export them. */
extern void __libc_free(void *) __attribute__((weak));

/*
 * A window that one of our regions fills is ours as a whole. In a window that
 * holds chunks and mappings, only what has been published is.
 */
bool region_has(struct region *r, const void *p)
{
	size_t g = ((uintptr_t)p & (REGION_BYTES - 1)) / GRANULE_BYTES;
	return load_rlx(&r->x_limit) == REGION_GRANULES || load_rlx(&r->x_slices[g]);
}

bool foreign_is_ours(const void *p)
{
	if ((uintptr_t)p & (BLOCK_ALIGN - 1))
		return true; /* reported by block_bytes */
	struct region *r = map_region(p);
	return r && (page_owner(map_slice(r, p)) != OWNER_NONE || region_has(r, p));
}

/* Aborts for addresses that no malloc returns. */
static void check_plausible(const char *call, const void *p)
{
	uintptr_t address = (uintptr_t)p;
	char here;
	CHECK(address >> USER_ADDRESS_BITS == 0, "%s(%p): not a user address", call, p);
	CHECK((address & (BLOCK_ALIGN - 1)) == 0, "%s(%p): misaligned, not from malloc", call, p);
	uintptr_t thread = (uintptr_t)__builtin_thread_pointer();
	extern void *__libc_stack_end;
	uintptr_t stack_end = (uintptr_t)__libc_stack_end;
	uintptr_t top = thread > (uintptr_t)&here && thread < stack_end ? thread : stack_end;
	CHECK(!(address >= (uintptr_t)&here && address < top), "%s(%p): on the stack", call, p);
	struct dl_find_object object;
	CHECK(_dl_find_object((void *)address, &object) != 0, "%s(%p): inside a program or library",
		call, p);
}

/*
 * Aborts unless glibc's malloc may have returned `p`: a size in whole units lies
 * before each of its blocks.
 */
static void check_chunk(const char *call, const void *p)
{
	const size_t unit = 2 * sizeof(size_t), flags = 7;
	const char *header = (const char *)p - sizeof(size_t);
	CHECK(os_is_mapped(header) && os_is_mapped(p),
		"%s(%p): no memory is there (double free, or not a pointer from malloc)", call, p);
	size_t size = *(const size_t *)header & ~flags;
	CHECK(size >= 2 * unit && size % unit == 0, "%s(%p): not a block of any allocator here",
		call, p);
}

void foreign_free(void *p)
{
	check_plausible("free", p);
	check_chunk("free", p);
	CHECK(__libc_free, "free(%p): not from this allocator", p);
	__libc_free(p);
}

size_t foreign_bytes(const void *p, const char *call)
{
	check_plausible(call, p);
	check_chunk(call, p);
	size_t (*usable)(void *) = (size_t(*)(void *))dlsym(RTLD_NEXT, "malloc_usable_size");
	CHECK(usable, "%s(%p): not from this allocator", call, p);
	return usable((void *)(uintptr_t)p);
}

/* Moves the block into our own memory. */
void *foreign_resize(void *p, size_t size)
{
	size_t old = foreign_bytes(p, "realloc");
	void *fresh = block_alloc(size);
	if (!fresh)
		return NULL;
	memcpy(fresh, p, min_size(old, size));
	foreign_free(p);
	return fresh;
}
