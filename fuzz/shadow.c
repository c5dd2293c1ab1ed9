/*
 * shadow.c: see shadow.h.
 */
#include "shadow.h"

#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	WHOLE_BYTES = 2048, /* up to here every byte carries the pattern */
	EDGE_BYTES = 64,    /* else this much at head and tail, and words in between */
	STRIDE_BYTES = 4096,
	STRIDE_BYTES_BIG = 65536, /* of what is longer than BIG_BYTES: faults cost the most */
	BIG_BYTES = 256 << 10,
	ZERO_BYTES = 256 << 10, /* up to here every byte is checked to be zero */
};

static uint64_t pattern_word(uint64_t tag, size_t offset)
{
	uint64_t x = (tag + offset / 8) * 0x9e3779b97f4a7c15u;

	return x ^ (x >> 29);
}

static unsigned char pattern_byte(uint64_t tag, size_t offset)
{
	return (unsigned char)(pattern_word(tag, offset) >> offset % 8 * 8);
}

/* By words where that can be: most of a fuzzer's time goes here. */
static void range_fill(struct shadow *b, size_t from, size_t to)
{
	size_t i = from;

	for (; i % 8 == 0 && i + 8 <= to; i += 8)
		*(uint64_t *)(b->p + i) = pattern_word(b->tag, i);
	for (; i < to; i++)
		b->p[i] = pattern_byte(b->tag, i);
}

static void range_check(const struct shadow *b, const unsigned char *p, size_t from, size_t to)
{
	size_t i = from;

	while (i % 8 == 0 && i + 8 <= to && *(const uint64_t *)(p + i) == pattern_word(b->tag, i))
		i += 8;
	for (; i < to; i++)
		if (p[i] != pattern_byte(b->tag, i))
			broken("block %p of %zu bytes (now at %p) holds %#x at offset %zu, not %#x",
				(void *)b->p, b->size, (const void *)p, p[i], i,
				pattern_byte(b->tag, i));
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t stride(const struct shadow *b)
{
	return b->filled > BIG_BYTES ? STRIDE_BYTES_BIG : STRIDE_BYTES;
}

static void fill(struct shadow *b)
{
	if (b->filled <= WHOLE_BYTES) {
		range_fill(b, 0, b->filled);
		return;
	}
	range_fill(b, 0, EDGE_BYTES);
	for (size_t i = stride(b); i + 8 <= b->filled; i += stride(b))
		range_fill(b, i, i + 8);
	range_fill(b, b->filled - EDGE_BYTES, b->filled);
}

void shadow_check_prefix(const struct shadow *b, const void *address, size_t bytes)
{
	const unsigned char *p = address;
	size_t end = smaller(b->filled, bytes), tail = b->filled - smaller(b->filled, EDGE_BYTES);

	if (b->filled <= WHOLE_BYTES) {
		range_check(b, p, 0, end);
		return;
	}
	range_check(b, p, 0, smaller(end, EDGE_BYTES));
	for (size_t i = stride(b); i + 8 <= end; i += stride(b))
		range_check(b, p, i, i + 8);
	range_check(b, p, smaller(tail, end), end);
}

static void check_zero(const unsigned char *p, size_t bytes)
{
	size_t step = bytes <= ZERO_BYTES ? 1 : STRIDE_BYTES;

	for (size_t i = 0; i < bytes; i += step)
		if (p[i])
			broken("block %p: %zu bytes should be zero, at offset %zu there is %#x",
				(const void *)p, bytes, i, p[i]);
}

void shadow_new(struct shadow *b, void *p, size_t size, size_t align, size_t zeroed, uint64_t tag)
{
	if (align < 16)
		align = 16;
	*b = (struct shadow){.p = p, .size = size, .align = align, .tag = tag};
	if ((uintptr_t)p & (align - 1))
		broken("block %p of %zu bytes is not aligned to %zu", p, size, align);
	b->usable = a_usable_size(p);
	if (b->usable < size)
		broken("block %p: %zu bytes may be used, %zu were asked for", p, b->usable, size);
	check_zero(p, zeroed == SIZE_MAX ? b->usable : zeroed);
	b->filled = tag % 4 == 0 ? b->usable : size;
	fill(b);
}

void shadow_check(const struct shadow *b)
{
	if (a_usable_size(b->p) != b->usable)
		broken("block %p: %zu bytes may be used, it was %zu", (void *)b->p,
			a_usable_size(b->p), b->usable);
	shadow_check_prefix(b, b->p, b->filled);
}

/* The head is inverted, so that a block that is handed out twice breaks a pattern. */
void *shadow_release(struct shadow *b)
{
	unsigned char *p = b->p;

	shadow_check(b);
	if (b->size)
		p[0] = (unsigned char)~p[0];
	*b = (struct shadow){0};
	return p;
}

void shadow_apart_from(const struct shadow *b, const struct shadow *all, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct shadow *other = &all[i];

		if (other != b && other->p && b->p < other->p + other->usable &&
			other->p < b->p + b->usable)
			broken("blocks %p of %zu bytes and %p of %zu bytes overlap", (void *)b->p,
				b->usable, (void *)other->p, other->usable);
	}
}

void shadow_apart(const struct shadow *all, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (all[i].p)
			shadow_apart_from(&all[i], &all[i + 1], count - i - 1);
}
