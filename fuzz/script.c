/*
 * script.c: see script.h. The calls on blocks; those on the allocator as a
 * whole are in control.c.
 */
#include "script.h"

#include "api.h"
#include "control.h"

#include <errno.h>
#include <string.h>

enum {
	BUDGET_BYTES = 96 << 20,
	FILL_BYTES_MAX = 4 << 20,
	ZERO_BYTES_MAX = 4 << 20,
	ALIGN_SHIFT_MAX = 26,
};

bool record_read(struct record *r, const uint8_t **data, size_t *bytes)
{
	if (*bytes < sizeof *r)
		return false;
	memcpy(r, *data, sizeof *r);
	*data += sizeof *r;
	*bytes -= sizeof *r;
	return true;
}

size_t record_size(const struct record *r)
{
	size_t n = r->size[1] | (size_t)r->size[2] << 8, low = r->size[0] & 31;

	switch (r->size[0] >> 5) {
	case 0:
		return n % 1100;
	case 1:
		return n;
	case 2:
		return ((size_t)1 << low % ALIGN_SHIFT_MAX) + n % 33 -
		       (low % ALIGN_SHIFT_MAX > 4 ? 16 : 0);
	case 3:
		return n * 16;
	case 4:
		return n * 64;
	case 5:
		return (8 + n % 8) << low % 20; /* where a class ends */
	case 6:
		return ((8 + n % 8) << low % 20) + 1;
	default:
		return n * 1024;
	}
}

/* 16 to 512 most of the time, else any. */
static size_t record_align(const struct record *r)
{
	return (size_t)1 << (r->x & 128 ? r->x % (ALIGN_SHIFT_MAX + 1) : 4 + r->x % 6u);
}

/* What the caller got: NULL is right only while there is a limit. */
static void adopt(struct script *s, struct shadow *b, void *p, size_t size, size_t align,
	size_t zeroed, unsigned heap)
{
	if (!p) {
		if (!s->limited || errno != ENOMEM)
			broken("record %zu: no memory for %zu bytes at a multiple of %zu: %s",
				s->record, size, align, strerror(errno));
		return;
	}
	shadow_new(b, p, size, align, zeroed, ++s->serial * 0x10000 + size % 4);
	b->heap = heap;
	s->held += size;
	shadow_apart_from(b, s->block, SLOTS);
}

/* Frees what the slot has; false when there is no room for so many bytes more. */
static bool make_room(struct script *s, struct shadow *b, size_t size)
{
	if (b->p) {
		s->held -= b->size;
		a_free(shadow_release(b));
	}
	errno = 0;
	return size <= BUDGET_BYTES && s->held + size <= BUDGET_BYTES;
}

static void op_malloc(struct script *s, struct shadow *b, const struct record *r)
{
	size_t size = record_size(r);

	if (make_room(s, b, size))
		adopt(s, b, a_malloc(size), size, 0, 0, 0);
}

static void op_calloc(struct script *s, struct shadow *b, const struct record *r)
{
	size_t count = r->x ? r->x : 1, size = record_size(r) % ZERO_BYTES_MAX / count;

	if (make_room(s, b, count * size))
		adopt(s, b, a_calloc(count, size), count * size, 0, count * size, 0);
}

static void op_zeroed(struct script *s, struct shadow *b, const struct record *r)
{
	size_t size = record_size(r) % ZERO_BYTES_MAX, align = record_align(r);

	if (script_has_hak() && make_room(s, b, size))
		adopt(s, b, hak_alloc(size, align, HAK_ZERO), size, align, SIZE_MAX, 0);
}

static void op_aligned(struct script *s, struct shadow *b, const struct record *r)
{
	size_t size = record_size(r), align = record_align(r);

	if (make_room(s, b, size))
		adopt(s, b, a_aligned_alloc(align, size), size, align, 0, 0);
}

static void op_memalign(struct script *s, struct shadow *b, const struct record *r)
{
	size_t size = record_size(r), align = record_align(r);
	void *p = NULL;
	int error;

	if (align < sizeof(void *) || !make_room(s, b, size))
		return;
	error = a_posix_memalign(&p, align, size);
	if (errno != 0 || (error ? error != ENOMEM : !p))
		broken("record %zu: posix_memalign(%zu, %zu) gave %d, %p and errno %d", s->record,
			align, size, error, p, errno);
	errno = error;
	adopt(s, b, p, size, align, 0, 0);
}

/* Blocks that have moved are the default heap's. */
static void op_realloc(struct script *s, struct shadow *b, const struct record *r)
{
	size_t size = record_size(r), count = r->y % 4 + 1;
	bool array = r->op & 1;
	struct shadow old = *b;
	unsigned char *p;

	if (old.p && r->y & 128)
		size = old.usable + r->x % 64 - (old.usable > 32 ? 32 : 0); /* where it just fits */
	size = array ? size / count : size;
	if (size == 0 || s->held + size * (array ? count : 1) > BUDGET_BYTES)
		return;
	if (old.p)
		shadow_check(b);
	errno = 0;
	p = array ? a_reallocarray(old.p, count, size) : a_realloc(old.p, size);
	size *= array ? count : 1;
	if (!p) {
		adopt(s, b, p, size, 0, 0, 0); /* the old block stays */
		return;
	}
	*b = (struct shadow){0};
	if (old.p) {
		s->held -= old.size;
		shadow_check_prefix(&old, p, size);
	}
	adopt(s, b, p, size, p == old.p ? old.align : 0, 0, p == old.p ? old.heap : 0);
}

static void op_free(struct script *s, struct shadow *b, const struct record *r)
{
	size_t size = b->size, align = b->align;
	unsigned heap = b->heap;
	void *p;

	if (!b->p)
		return;
	s->held -= size;
	p = shadow_release(b);
	errno = 12345;
	if (!script_has_hak() || r->x % 4 < 2 || heap)
		a_free(p);
	else if (r->x % 4 == 2 && align <= 16)
		a_free_sized(p, size); /* never of what aligned_alloc gave, says C23 */
	else
		a_free_aligned_sized(p, align, size);
	if (errno != 12345)
		broken("record %zu: free changed errno to %d", s->record, errno);
}

/* realloc(p, 0) frees. */
static void op_realloc_zero(struct script *s, struct shadow *b, const struct record *r)
{
	(void)r;
	if (!b->p)
		return;
	s->held -= b->size;
	if (a_realloc(shadow_release(b), 0))
		broken("record %zu: realloc to 0 bytes gave a block", s->record);
}

/* Runs of slots, so that pages fill up and become empty. */
static void op_fill(struct script *s, struct shadow *b, const struct record *r)
{
	size_t step = r->y % 8 + 1;

	for (size_t i = 0; i < r->x && b + i < s->block + SLOTS && s->held < FILL_BYTES_MAX;
		i += step)
		op_malloc(s, b + i, r);
}

static void op_drain(struct script *s, struct shadow *b, const struct record *r)
{
	size_t step = r->y % 8 + 1, count = (size_t)(s->block + SLOTS - b);
	struct record plain = {0};

	if (r->x < count)
		count = r->x;
	for (size_t i = 0; i < count; i += step)
		op_free(s, b + (r->y & 8 ? count - 1 - i : i), &plain);
}

static void op_heap_alloc(struct script *s, struct shadow *b, const struct record *r)
{
	size_t size = record_size(r), align = record_align(r);
	unsigned heap = r->y % HEAPS;
	bool zero = r->y & 128;

	if (zero)
		size %= ZERO_BYTES_MAX;
	if (s->heap[heap] && make_room(s, b, size))
		adopt(s, b, hak_heap_alloc(s->heap[heap], size, align, zero ? HAK_ZERO : 0), size,
			align, zero ? SIZE_MAX : 0, heap + 1);
}

/* Everything in it goes at once. */
static void op_heap_destroy(struct script *s, struct shadow *b, const struct record *r)
{
	unsigned heap = r->y % HEAPS;

	(void)b;
	if (!s->heap[heap])
		return;
	for (size_t i = 0; i < SLOTS; i++)
		if (s->block[i].p && s->block[i].heap == heap + 1) {
			s->held -= s->block[i].size;
			shadow_release(&s->block[i]);
		}
	hak_heap_destroy(s->heap[heap]);
	s->heap[heap] = NULL;
}

typedef void operation(struct script *s, struct shadow *b, const struct record *r);

/* What is listed more often is done more often. */
static operation *const operations[32] = {op_malloc, op_malloc, op_malloc, op_malloc, op_calloc,
	op_calloc, op_zeroed, op_aligned, op_aligned, op_memalign, op_realloc, op_realloc,
	op_realloc, op_realloc, op_free, op_free, op_free, op_free, op_free, op_free,
	op_realloc_zero, op_fill, op_fill, op_drain, op_drain, op_heap_alloc, op_heap_alloc,
	op_heap_destroy, control_heap_create, control_refused, control_option, control_look};

void script_step(struct script *s, const struct record *r)
{
	s->record++;
	operations[r->op % 32](s, &s->block[r->slot], r);
}

void script_check(struct script *s)
{
	for (size_t i = 0; i < SLOTS; i++)
		if (s->block[i].p)
			shadow_check(&s->block[i]);
	shadow_apart(s->block, SLOTS);
	control_verify(s);
}

void script_end(struct script *s)
{
	struct record r = {0};

	script_check(s);
	control_default_options(s);
	for (r.y = 0; r.y < HEAPS; r.y++)
		op_heap_destroy(s, NULL, &r);
	for (size_t i = 0; i < SLOTS; i++)
		op_free(s, &s->block[i], &r);
	if (s->held)
		broken("%zu bytes are left: an error of this program", s->held);
	control_verify(s);
}
