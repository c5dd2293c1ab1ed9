/*
 * granule.c: see granule.h. One bit of x_free decides who owns a granule:
 *
 *              | claim                  | free             | purge
 *   claim      | CAS, one wins          | distinct bits    | CAS, one wins
 *   free       |                        | distinct bits    | distinct bits
 *   purge      |                        |                  | CAS, one wins
 *
 * A run within 64 granules is won by one CAS; a longer one word by word, and
 * given back when a word of it is lost. x_dirty is the owner's note for the
 * next owner: atomic only because neighbours share its words.
 */
#include "segments/granule.h"

#include "policy/clock.h"
#include "segments/map.h"
#include "segments/purge.h"
#include "segments/region.h"

#include <errno.h>

/* Whales fall back to mappings of their own, so they need not insist. */
#define GROW_TRIES 4

#define WORD_BITS 64

/* The part of granules from .. from + count that lies in the word of `from`. */
static uint64_t part_mask(size_t from, size_t count, size_t *part)
{
	size_t bit = from % WORD_BITS;
	*part = min_size(count, WORD_BITS - bit);
	uint64_t ones = *part == WORD_BITS ? ~(uint64_t)0 : ((uint64_t)1 << *part) - 1;
	return ones << bit;
}

static bool word_claim(struct region *r, size_t word, uint64_t mask)
{
	uint64_t free = load_rlx(&r->x_free[word]);
	while ((free & mask) == mask)
		if (cas_weak_acq(&r->x_free[word], &free, free & ~mask)) /* [G1] */
			return true;
	return false;
}

void granules_publish(struct region *r, size_t from, size_t count, bool dirty)
{
	size_t part;
	add_rlx(&r->x_room, (uint32_t)(count * GRANULE_SLICES));
	if (dirty)
		add_sc(&nodes[r->node].x_dirty_bytes, count * GRANULE_BYTES); /* [T1] */
	for (size_t end = from + count; from < end; from += part) {
		uint64_t mask = part_mask(from, end - from, &part);
		if (dirty)
			or_rlx(&r->x_dirty[from / WORD_BITS], mask); /* ordered by [G1] */
		or_rel(&r->x_free[from / WORD_BITS], mask);          /* [G1] */
	}
}

/* What the owner of these `count` bits finds: how many granules may be resident. */
static size_t take_dirty(struct region *r, size_t word, uint64_t mask, size_t count)
{
	uint64_t dirty = load_rlx(&r->x_dirty[word]) & mask; /* ordered by [G1] */
	if (!dirty)
		return 0;
	and_rlx(&r->x_dirty[word], ~dirty);
	return likely(dirty == mask) ? count : (size_t)__builtin_popcountl(dirty);
}

/* Word by word; what was won before a loss goes back. */
static bool claim_parts(struct region *r, size_t from, size_t count, size_t *dirty)
{
	size_t at = from, end = from + count, part;
	for (; at < end; at += part) {
		uint64_t mask = part_mask(at, end - at, &part);
		if (word_claim(r, at / WORD_BITS, mask))
			continue;
		for (; from < at; from += part) {
			mask = part_mask(from, at - from, &part);
			or_rel(&r->x_free[from / WORD_BITS], mask); /* [G1] */
		}
		return false;
	}
	for (at = from; at < end; at += part) {
		uint64_t mask = part_mask(at, end - at, &part);
		*dirty += take_dirty(r, at / WORD_BITS, mask, part);
	}
	return true;
}

/* All or nothing. */
static bool claim_run(struct region *r, size_t from, size_t count, bool *zero)
{
	size_t dirty = 0, part;
	uint64_t mask = part_mask(from, count, &part);
	if (likely(part == count)) {
		if (!word_claim(r, from / WORD_BITS, mask))
			return false;
		dirty = take_dirty(r, from / WORD_BITS, mask, count);
	} else if (!claim_parts(r, from, count, &dirty)) {
		return false;
	}
	sub_rlx(&r->x_room, (uint32_t)(count * GRANULE_SLICES));
	pool_claimed(r->node, dirty * GRANULE_BYTES, (count - dirty) * GRANULE_BYTES);
	*zero = dirty == 0;
	return true;
}

bool granules_claim_at(char *start, size_t count, bool *zero)
{
	struct region *r = map_region(start);
	size_t from = ((uintptr_t)start & (REGION_BYTES - 1)) / GRANULE_BYTES;
	/* What continues a whale never begins a region: that would be the next one. */
	if (!r || r->kind != REGION_WHALES || from == 0 || from + count > REGION_GRANULES)
		return false;
	return claim_run(r, from, count, zero);
}

static uint64_t candidates(struct region *r, size_t word, bool dirty)
{
	uint64_t free = load_rlx(&r->x_free[word]);
	return dirty ? free & load_rlx(&r->x_dirty[word]) : free;
}

/*
 * The next run of candidates at or after `from`, by hints; REGION_GRANULES if
 * there is none. Runs of zeroes and of ones are skipped by counting bits.
 */
static size_t find_run(struct region *r, size_t from, size_t count, size_t align, bool dirty)
{
	size_t begin = from, at = from;
	while (at < REGION_GRANULES && begin + count <= REGION_GRANULES) {
		size_t bit = at % WORD_BITS;
		uint64_t word = candidates(r, at / WORD_BITS, dirty) >> bit;
		if (!(word & 1)) {
			at += word ? (size_t)__builtin_ctzl(word) : WORD_BITS - bit;
			begin = align_up(at, align);
			at = begin;
			continue;
		}
		uint64_t taken = ~word;
		at += min_size(taken ? (size_t)__builtin_ctzl(taken) : WORD_BITS, WORD_BITS - bit);
		if (at >= begin + count)
			return begin;
	}
	return REGION_GRANULES;
}

static char *claim_in_region(struct region *r, size_t count, size_t align, bool dirty, bool *zero)
{
	size_t from = find_run(r, 0, count, align, dirty);
	for (; from < REGION_GRANULES; from = find_run(r, from + align, count, align, dirty))
		if (claim_run(r, from, count, zero))
			return (char *)r->base + from * GRANULE_BYTES;
	return NULL;
}

static char *search(unsigned node, size_t count, size_t align, bool dirty, bool *zero)
{
	struct region *r = load_acq(&nodes[node].x_regions[REGION_WHALES]); /* [R1] */
	for (unsigned n = 0; r && n < SEARCH_REGIONS;) {
		bool room = load_rlx(&r->x_room) >= count * GRANULE_SLICES;
		char *start = room ? claim_in_region(r, count, align, dirty, zero) : NULL;
		if (start)
			return start;
		n += room;
		r = load_acq(&r->x_next); /* [R1] */
	}
	return NULL;
}

char *granules_claim(unsigned node, size_t count, size_t align, bool *zero)
{
	char *start = NULL;
	if (load_rlx(&nodes[node].x_dirty_bytes) >= count * GRANULE_BYTES)
		start = search(node, count, align, true, zero);
	for (unsigned tries = 0; !start && tries < GROW_TRIES; tries++) {
		start = search(node, count, align, false, zero);
		if (!start && !region_grow(node, REGION_WHALES, count + align - 1))
			break;
	}
	if (!start)
		errno = ENOMEM;
	return start;
}

void granules_free(char *start, size_t count, bool dirty)
{
	struct region *r = map_region(start);
	size_t from = ((uintptr_t)start & (REGION_BYTES - 1)) / GRANULE_BYTES;
	if (!dirty)
		sub_rlx(&nodes[r->node].x_resident, count * GRANULE_BYTES);
	granules_publish(r, from, count, dirty);
	clock_poke();
	pool_trim(r->node);
}

uint64_t granules_claim_dirty(struct region *r, size_t word, unsigned most)
{
	uint64_t mask = candidates(r, word, true);
	while (mask && (unsigned)__builtin_popcountl(mask) > most)
		mask &= mask - 1;
	if (!mask || !word_claim(r, word, mask))
		return 0;
	size_t count = (size_t)__builtin_popcountl(mask);
	/* Between the two loads others may have had them, purged. */
	size_t dirty = take_dirty(r, word, mask, count);
	sub_rlx(&r->x_room, (uint32_t)(count * GRANULE_SLICES));
	pool_claimed(r->node, dirty * GRANULE_BYTES, (count - dirty) * GRANULE_BYTES);
	return mask;
}
