/*
 * checked.c: the functions of blocks.c for programs that memcheck or AddressSanitizer looks
 * at (CHECKERS=1). What the program gets lies inside a block: behind a record, so that
 * nothing of the library points to it, and before some bytes that nobody may touch. Freed
 * blocks of the default heap wait for others to be freed before they are handed out
 * again, so that mistakes with them are found for longer.
 */
#include "hakmem.h"

#include "base/atomic.h"
#include "base/check.h"
#include "base/checkers.h"
#include "segments/guard.h"
#include "tls/alloc.h"
#include "tls/first_class.h"
#include "tls/foreign.h"

#include <errno.h>
#include <string.h>

/* Before what the program gets. What overruns it, and no tool has seen, breaks the mark. */
struct record {
	size_t size;
	size_t offset;         /* from the block's start to what the program gets */
	struct hak_heap *heap; /* NULL: the default one */
	uintptr_t mark;
};

#define BEHIND_BYTES 16 /* that nobody may touch */

#define MARK_USED ((uintptr_t)0x5a17c0deb10c0001)
#define MARK_FREED ((uintptr_t)0x5a17c0deb10c0002)

/* Freed blocks that wait: so many, and only small ones. */
#define WAITING 1024
#define WAITING_BYTES_MOST (16 * KIB)

static void *_Atomic x_waiting[WAITING]; /* any: [Q1]; freed blocks */
static _Atomic(uint32_t) x_turn;         /* any: relaxed; where the next one goes */

static bool is_ours(const void *p)
{
	return guard_has(p) || foreign_is_ours(p);
}

static struct record *record_of(void *p)
{
	return (struct record *)p - 1;
}

static void set_mark(struct record *r, uintptr_t kind)
{
	r->mark = (uintptr_t)r ^ r->size ^ r->offset ^ (uintptr_t)r->heap ^ kind;
}

static bool is_marked(const struct record *r, uintptr_t kind)
{
	return r->mark == ((uintptr_t)r ^ r->size ^ r->offset ^ (uintptr_t)r->heap ^ kind);
}

static struct checkers_block describe(void *p)
{
	struct record *r = record_of(p);
	char *start = (char *)p - r->offset;
	size_t bytes = block_bytes(start);
	return (struct checkers_block){
		.p = p,
		.size = r->size,
		.start = start,
		.bytes = bytes,
		.heap = r->heap,
		.mapped = bytes > MID_MAX &&
			  (page_owner(block_page(start)) & ~OWNER_KEPT) == OWNER_MAPPED,
	};
}

static void *take_from(struct hak_heap *heap, size_t bytes, size_t align)
{
	if (heap)
		return first_class_alloc(heap, bytes, align, false);
	return align > BLOCK_ALIGN ? alloc_aligned(bytes, align, false) : block_alloc(bytes);
}

static void *take(struct hak_heap *heap, size_t size, size_t align, bool zero)
{
	size_t offset = max_size(align, sizeof(struct record)), bytes;
	if (__builtin_add_overflow(size, offset + BEHIND_BYTES, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	checkers_off();
	char *start = take_from(heap, bytes, max_size(align, BLOCK_ALIGN));
	if (start) {
		struct record *r = record_of(start + offset);
		*r = (struct record){.size = size, .offset = offset, .heap = heap};
		set_mark(r, MARK_USED);
		struct checkers_block block = describe(start + offset);
		checkers_on();
		checkers_alloc(&block);
		return zero ? memset(block.p, 0, size) : block.p;
	}
	checkers_on();
	return NULL;
}

/* The record of a block in use; NULL for one that is not ours. Anything else ends here. */
static struct record *look(void *p, const char *call)
{
	if (!is_ours(p))
		return NULL;
	CHECK((uintptr_t)p % BLOCK_ALIGN == 0, "%s(%p): misaligned, not from malloc", call, p);
	struct record *r = record_of(p);
	CHECK(!is_marked(r, MARK_FREED), "%s(%p): double free: the block is free", call, p);
	CHECK(is_marked(r, MARK_USED),
		"%s(%p): not the start of a block, or what lies before it was written to", call, p);
	return r;
}

/* The block that waited longest in this place is freed. */
static void wait_and_free(void *start, size_t bytes)
{
	if (bytes <= WAITING_BYTES_MOST)
		start = xchg_acq_rel(&x_waiting[add_rlx(&x_turn, 1) % WAITING], start); /* [Q1] */
	if (start)
		block_free(start);
}

/* memcheck says by itself what is wrong with a block that is freed again. */
static bool is_again(void *p)
{
	return checkers_valgrind() && is_ours(p) && (uintptr_t)p % BLOCK_ALIGN == 0 &&
	       is_marked(record_of(p), MARK_FREED);
}

static void give(void *p, const char *call)
{
	if (!p)
		return;
	checkers_off();
	bool again = is_again(p);
	struct record *r = again ? record_of(p) : look(p, call);
	struct checkers_block block = {.p = p};
	if (r)
		block = describe(p);
	if (r && !again)
		set_mark(r, MARK_FREED);
	checkers_on();
	if (r)
		checkers_free(&block);
	checkers_off();
	if (!r)
		block_free(p);
	else if (block.heap && !again)
		block_free(block.start);
	else if (!again)
		wait_and_free(block.start, block.bytes);
	checkers_on();
}

static size_t size_of(void *p, const char *call)
{
	checkers_off();
	struct record *r = look(p, call);
	size_t size = r ? r->size : block_bytes_for(p, call);
	checkers_on();
	return size;
}

static bool times(size_t count, size_t size, size_t *bytes)
{
	bool fits = !__builtin_mul_overflow(count, size, bytes);
	if (!fits)
		errno = ENOMEM;
	return fits;
}

static bool is_alignment(size_t alignment)
{
	bool good = !alignment || is_pow2(alignment);
	if (!good)
		errno = EINVAL;
	return good;
}

void *hak_malloc(size_t size)
{
	return take(NULL, size, 0, false);
}

void hak_free(void *block)
{
	give(block, "free");
}

void *hak_calloc(size_t count, size_t size)
{
	size_t bytes;
	return times(count, size, &bytes) ? take(NULL, bytes, 0, true) : NULL;
}

void *hak_realloc(void *block, size_t size)
{
	if (!block)
		return take(NULL, size, 0, false);
	if (size == 0) {
		give(block, "realloc");
		return NULL;
	}
	size_t old = size_of(block, "realloc");
	void *fresh = take(NULL, size, 0, false);
	if (!fresh)
		return NULL;
	memcpy(fresh, block, min_size(old, size));
	give(block, "realloc");
	return fresh;
}

void *hak_reallocarray(void *block, size_t count, size_t size)
{
	size_t bytes;
	return times(count, size, &bytes) ? hak_realloc(block, bytes) : NULL;
}

void *hak_alloc(size_t size, size_t alignment, unsigned flags)
{
	return is_alignment(alignment) ? take(NULL, size, alignment, flags & HAK_ZERO) : NULL;
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
	void *p = take(NULL, size, alignment, false);
	errno = saved;
	if (!p)
		return ENOMEM;
	*block = p;
	return 0;
}

void hak_free_sized(void *block, size_t size)
{
	CHECK(!block || size_of(block, "free_sized") == size, "free_sized(%p, %zu): not its size",
		block, size);
	give(block, "free_sized");
}

void hak_free_aligned_sized(void *block, size_t alignment, size_t size)
{
	CHECK(is_pow2(alignment) && (uintptr_t)block % alignment == 0,
		"free_aligned_sized(%p, %zu, %zu): that is no alignment", block, alignment, size);
	hak_free_sized(block, size);
}

size_t hak_usable_size(const void *block)
{
	return block ? size_of((void *)(uintptr_t)block, "malloc_usable_size") : 0;
}

void *hak_heap_alloc(hak_heap *heap, size_t size, size_t alignment, unsigned flags)
{
	return is_alignment(alignment) ? take(heap, size, alignment, flags & HAK_ZERO) : NULL;
}
