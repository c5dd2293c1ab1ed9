/*
 * shadow.h: what a fuzzer knows of the blocks it holds: where they lie, how
 * long they are, and which pattern is in them. Whatever the allocator does to
 * break that ends the process with one line, and abort() for libFuzzer to see.
 */
#ifndef FUZZ_SHADOW_H
#define FUZZ_SHADOW_H

#include "broken.h"
#include "test.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One block; all zero: none. */
struct shadow {
	unsigned char *p;
	size_t size;   /* asked for */
	size_t usable; /* what the allocator says */
	size_t filled; /* bytes that carry the pattern: size or usable */
	size_t align;  /* asked for, at least 16 */
	uint64_t tag;  /* of the pattern */
	unsigned heap; /* 0: the default heap */
};

/*
 * Makes *b the block just allocated: checks its address, its length and, where
 * `zeroed` says so many bytes of it should be zero, that they are; then fills it.
 */
void shadow_new(struct shadow *b, void *p, size_t size, size_t align, size_t zeroed, uint64_t tag);

/* The pattern is where it was, as far as `bytes`, and the length is what it was. */
void shadow_check(const struct shadow *b);
void shadow_check_prefix(const struct shadow *b, const void *p, size_t bytes);

/* Checks, and returns the address for the call that frees it; *b is none afterwards. */
void *shadow_release(struct shadow *b);

/* No two of these blocks have a byte in common; one against all of them. */
void shadow_apart(const struct shadow *all, size_t count);
void shadow_apart_from(const struct shadow *b, const struct shadow *all, size_t count);

#endif
