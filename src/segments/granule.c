/*
 * granule.c: see granule.h. In a region of whales a word of x_slices stands for
 * 32 granules: bit i says that granule i is in the pool, bit 32 + i that it is
 * there and may be resident.
 *
 *              | claim                  | free             | purge
 *   claim      | CAS, one wins          | distinct bits    | CAS, one wins
 *   free       |                        | distinct bits    | distinct bits
 *   purge      |                        |                  | CAS, one wins
 *
 * A run within one word is won by one CAS; a longer one word by word, and given
 * back when a word of it is lost.
 */
#include "segments/granule.h"

#include "base/os.h"
#include "policy/choice.h"
#include "policy/clock.h"
#include "segments/map.h"
#include "segments/purge.h"
#include "segments/region.h"

#include <errno.h>

/* Whales fall back to mappings of their own, so they need not insist. */
#define GROW_TRIES 4

#define WORD_BITS GRANULE_SLICES

/* The part of granules from .. from + count that lies in the word of `from`. */
static uint32_t part_mask(size_t from, size_t count, size_t *part)
{
	size_t bit = from % WORD_BITS;
	*part = min_size(count, WORD_BITS - bit);
	return (uint32_t)((((uint64_t)1 << *part) - 1) << bit);
}

/* Takes granules with their dirty bits, which are returned in *dirty. */
static bool word_claim(struct region *r, size_t word, uint32_t mask, uint32_t *dirty)
{
	uint64_t found = load_rlx(&r->x_slices[word]);
	while (((uint32_t)found & mask) == mask) {
		uint64_t both = mask | (uint64_t)mask << SLICES_DIRTY_SHIFT;
		if (!cas_weak_acq(&r->x_slices[word], &found, found & ~both)) /* [G1] */
			continue;
		*dirty = (uint32_t)(found >> SLICES_DIRTY_SHIFT) & mask;
		return true;
	}
	return false;
}

static void word_publish(struct region *r, size_t word, uint32_t mask, uint32_t dirty)
{
	or_rel(&r->x_slices[word], mask | (uint64_t)dirty << SLICES_DIRTY_SHIFT); /* [G1] */
}

void granules_publish(struct region *r, size_t from, size_t count, bool dirty)
{
	size_t part;
	if (dirty)
		add_sc(&nodes[r->node].x_dirty_bytes, count * GRANULE_BYTES); /* [T1] */
	for (size_t end = from + count; from < end; from += part) {
		uint32_t mask = part_mask(from, end - from, &part);
		word_publish(r, from / WORD_BITS, mask, dirty ? mask : 0);
	}
}

/* What was won of a run before a word of it was lost goes back as it was. */
static void unclaim(struct region *r, size_t from, size_t to, const uint32_t *dirty)
{
	for (size_t part; from < to; from += part) {
		uint32_t mask = part_mask(from, to - from, &part);
		word_publish(r, from / WORD_BITS, mask, *dirty++);
	}
}

static uint32_t candidates(struct region *r, size_t word, bool dirty)
{
	uint64_t found = load_rlx(&r->x_slices[word]);
	return (uint32_t)(dirty ? found & found >> SLICES_DIRTY_SHIFT : found);
}

#define STAMPS (GRANULE_SLICES / STAMP_SLICES)

void granules_stamp(char *start, size_t count, uint32_t stamp)
{
	struct region *r = map_region(start);
	size_t from = ((uintptr_t)start & (REGION_BYTES - 1)) / GRANULE_BYTES;
	for (size_t g = from; g < from + count; g++)
		store_rlx(&r->x_stamps[g * STAMPS], stamp);
	if (choice_hurries(stamp) && !load_rlx(&nodes[r->node].x_hurries))
		store_rlx(&nodes[r->node].x_hurries, true);
}

uint32_t granules_over(struct region *r, size_t word, uint32_t now_ms)
{
	uint32_t over = 0;
	for (uint32_t left = candidates(r, word, true); left; left &= left - 1) {
		size_t bit = (size_t)__builtin_ctz(left), g = word * WORD_BITS + bit;
		uint32_t stamp = load_rlx(&r->x_stamps[g * STAMPS]);
		if (!choice_hurries(stamp))
			continue;
		if (choice_is_over(stamp, now_ms))
			over |= (uint32_t)1 << bit;
		else
			store_rlx(&nodes[r->node].x_hurries, true);
	}
	return over;
}

/* Beside its stamp: what is claimed was not resident. */
static _Atomic(uint32_t) *fresh_mark(struct region *r, size_t granule)
{
	return &r->x_stamps[granule * STAMPS + 1];
}

bool granule_was_fresh(const char *start)
{
	struct region *r = map_region(start);
	return load_rlx(fresh_mark(r, ((uintptr_t)start & (REGION_BYTES - 1)) / GRANULE_BYTES));
}

/*
 * Shows the stamps of what was claimed, block by block, and takes them away; and marks
 * what is fresh.
 */
static COLD void show_stamps(struct region *r, size_t from, size_t count, const uint32_t *dirty)
{
	uint32_t last = count == 1 ? load_rlx(&r->x_stamps[from * STAMPS]) : 0;
	if (count == 1) {
		store_rlx(fresh_mark(r, from), !*dirty);
		if (last) {
			store_rlx(&r->x_stamps[from * STAMPS], 0);
			choice_reused(r->node, last, GRANULE_BYTES, r->kind & REGION_HUGE, *dirty);
		}
		return;
	}
	bool huge = r->kind & REGION_HUGE, resident = false;
	size_t run = 0;
	for (size_t g = from; g <= from + count; g++) {
		uint32_t stamp = 0;
		bool was = false;
		if (g < from + count) {
			_Atomic(uint32_t) *x_stamp = &r->x_stamps[g * STAMPS];
			stamp = load_rlx(x_stamp);
			store_rlx(x_stamp, 0);
			was = dirty[g / WORD_BITS - from / WORD_BITS] >> (g % WORD_BITS) & 1;
			store_rlx(fresh_mark(r, g), !was);
		}
		if (last && (stamp != last || was != resident || g == from + count)) {
			choice_reused(r->node, last, run * GRANULE_BYTES, huge, resident);
			run = 0;
		}
		run = stamp == last && run ? run + 1 : 1;
		last = stamp;
		resident = was;
	}
}

/* All or nothing. */
static bool claim_run(struct region *r, size_t from, size_t count, bool *zero)
{
	uint32_t dirty[REGION_WORDS_WHALES];
	size_t at = from, end = from + count, part, words = 0, bytes = 0;
	for (; at < end; at += part) {
		uint32_t mask = part_mask(at, end - at, &part), *found = &dirty[words++];
		if (!word_claim(r, at / WORD_BITS, mask, found)) {
			unclaim(r, from, at, dirty);
			return false;
		}
		if (*found)
			bytes += GRANULE_BYTES *
				 (*found == mask ? part : (size_t)__builtin_popcount(*found));
	}
	pool_claimed(r->node, bytes, count * GRANULE_BYTES - bytes);
	*zero = bytes == 0 && !os_purged_lazily();
	if (choice_learns()) {
		choice_claims();
		show_stamps(r, from, count, dirty);
		size_t clean = count * GRANULE_BYTES - bytes;
		if (choice_claimed(r->node, count * GRANULE_BYTES, clean, r->kind & REGION_HUGE,
			    clean ? pool_in_use_all() : 0))
			choice_close(pool_in_use_all());
	}
	return true;
}

bool granules_claim_at(char *start, size_t count, bool *zero)
{
	struct region *r = map_region(start);
	size_t from = ((uintptr_t)start & (REGION_BYTES - 1)) / GRANULE_BYTES;
	/* What continues a whale never begins a region: that would be the next one. */
	if (!r || !(r->kind & REGION_WHALES) || from == 0 || from + count > REGION_GRANULES ||
		!pool_may_grow(count * GRANULE_BYTES) || !claim_run(r, from, count, zero))
		return false;
	if (likely(!pool_has_overgrown()))
		return true;
	granules_free(start, count, true, SITE_HOT);
	return false;
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
		uint32_t word = candidates(r, at / WORD_BITS, dirty) >> bit;
		if (!(word & 1)) {
			at += word ? (size_t)__builtin_ctz(word) : WORD_BITS - bit;
			begin = align_up(at, align);
			at = begin;
			continue;
		}
		uint32_t taken = ~word;
		at += min_size(taken ? (size_t)__builtin_ctz(taken) : WORD_BITS, WORD_BITS - bit);
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

/* Has the region a granule that may do? One line of memory tells. */
static bool has_candidates(struct region *r, bool dirty)
{
	for (size_t word = 0; word < REGION_WORDS_WHALES; word++)
		if (candidates(r, word, dirty))
			return true;
	return false;
}

static char *search(
	unsigned node, unsigned kind, size_t count, size_t align, bool dirty, bool *zero)
{
	struct region *r = load_acq(&nodes[node].x_regions[kind]); /* [R1] */
	for (unsigned n = 0; r && n < SEARCH_REGIONS;) {
		if (has_candidates(r, dirty)) {
			char *start = claim_in_region(r, count, align, dirty, zero);
			if (start)
				return start;
			n++;
		}
		r = load_acq(&r->x_next); /* [R1+] */
	}
	return NULL;
}

static char *claim_dirty(unsigned node, unsigned kind, size_t count, size_t align)
{
	bool zero;
	if (load_rlx(&nodes[node].x_dirty_bytes) < count * GRANULE_BYTES)
		return NULL;
	char *start = search(node, kind & ~REGION_ONLY, count, align, true, &zero);
	if (start || kind & REGION_ONLY)
		return start;
	return search(node, kind ^ REGION_HUGE, count, align, true, &zero);
}

static char *claim_any(unsigned node, unsigned kind, size_t count, size_t align, bool *zero)
{
	for (unsigned tries = 0; tries < GROW_TRIES; tries++) {
		char *start = search(node, kind, count, align, false, zero);
		if (start)
			return start;
		if (!region_grow(node, kind, count + align - 1))
			break;
	}
	return NULL;
}

char *granules_claim(unsigned node, unsigned kind, size_t count, size_t align, bool *zero)
{
	*zero = false;
	char *start = claim_dirty(node, kind, count, align);
	kind &= ~REGION_ONLY;
	if (!start && pool_may_grow(count * GRANULE_BYTES)) {
		start = claim_any(node, kind, count, align, zero);
		if (!start && (kind & REGION_HUGE))
			start = claim_any(node, kind ^ REGION_HUGE, count, align, zero);
		if (start && pool_has_overgrown()) {
			granules_free(start, count, true, SITE_HOT);
			start = NULL;
		}
	}
	if (!start)
		errno = ENOMEM;
	return start;
}

void granules_free(char *start, size_t count, bool dirty, enum site_class class)
{
	struct region *r = map_region(start);
	size_t from = ((uintptr_t)start & (REGION_BYTES - 1)) / GRANULE_BYTES, part;
	if (!dirty)
		sub_rlx(&nodes[r->node].x_resident, count * GRANULE_BYTES);
	for (size_t at = from, end = from + count; at < end; at += part) {
		uint32_t mask = part_mask(at, end - at, &part);
		pool_classify(r, at / WORD_BITS, mask, class);
	}
	granules_publish(r, from, count, dirty);
	clock_poke();
	pool_trim(r->node);
}

uint32_t granules_claim_dirty(struct region *r, size_t word, uint32_t among, unsigned most)
{
	uint32_t mask = candidates(r, word, true) & among, dirty = 0;
	while (mask && (unsigned)__builtin_popcount(mask) > most)
		mask &= mask - 1;
	if (!mask || !word_claim(r, word, mask, &dirty))
		return 0;
	/* Between the two looks others may have had them, purged. */
	size_t all = (size_t)__builtin_popcount(mask), found = (size_t)__builtin_popcount(dirty);
	pool_taken(r->node, found * GRANULE_BYTES, (all - found) * GRANULE_BYTES);
	return mask;
}
