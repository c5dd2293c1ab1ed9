/*
 * guard.c: the slots of guard.h: claimed, freed, and looked at. A slot has one
 * owner at a time, decided by its word of x_states:
 *
 *              | claim               | free                  | report
 *   claim      | CAS decides         | sees it once freed    | relaxed reads:
 *   free       |                     | CAS decides, the      | what was there
 *              |                     | other one is reported | a moment ago
 *
 * Of the free slots the one that was freed first is taken: so they are a queue
 * without links, and a thread that stops holds up nothing but its own slot.
 */
#include "segments/guard.h"

#include "base/os.h"
#include "base/stack.h"
#include "segments/purge.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* What a page holds around its block. */
#define FILL 0xb7

/* Each time another thread has taken the slot that was found. */
#define CLAIM_TRIES 8

struct guard_pool *_Atomic x_guard_pool;

static _Atomic(uint64_t) x_ever, x_missed; /* any: relaxed; see guard_counts */
static _Atomic(size_t) x_resident;         /* any: relaxed; counted before the page is there */

static struct guard_pool *make_pool(void)
{
	struct guard_pool *found = NULL, *made = os_map(sizeof *made);
	if (!made)
		return NULL;
	void *base = os_reserve(GUARD_POOL_BYTES, GRANULE_BYTES);
	if (base) {
		made->base = (uintptr_t)base;
		if (cas_acq_rel(&x_guard_pool, &found, made)) /* [D2] */
			return made;
		os_unmap(base, GUARD_POOL_BYTES);
	}
	os_unmap(made, sizeof *made);
	return found;
}

struct guard_pool *guard_pool(void)
{
	struct guard_pool *pool = load_acq(&x_guard_pool); /* [D2] */
	return likely(pool) ? pool : make_pool();
}

/* A free that is not counted yet has a number above `frees`. */
static bool may_claim(uint64_t word, uint64_t frees)
{
	return !word || (int64_t)(frees - (word >> GUARD_STATE_BITS)) >= (int64_t)GUARD_QUARANTINE;
}

size_t guard_claim(struct guard_pool *pool, uint64_t *before)
{
	for (unsigned tries = 0; tries < CLAIM_TRIES; tries++) {
		uint64_t least = UINT64_MAX, frees = load_rlx(&pool->x_frees);
		size_t found = GUARD_SLOTS;
		for (size_t i = 0; i < GUARD_SLOTS; i++) {
			uint64_t word = load_rlx(&pool->x_states[i]);
			if ((word & GUARD_STATE_MASK) == GUARD_FREE && word < least) {
				least = word;
				found = i;
			}
		}
		if (found == GUARD_SLOTS || !may_claim(least, frees))
			break;
		*before = least;
		if (cas_acq(&pool->x_states[found], &least, GUARD_BUSY)) /* [D1] */
			return found;
	}
	return GUARD_SLOTS;
}

static NOINLINE void record(struct guard_trace *t)
{
	uintptr_t pcs[GUARD_FRAMES];
	unsigned count = stack_take(pcs, GUARD_FRAMES);
	for (unsigned i = 0; i < count; i++)
		store_rlx(&t->x_pcs[i], pcs[i]);
	store_rlx(&t->x_count, count);
	store_rlx(&t->x_thread, (uint32_t)gettid());
}

/* Zeroed in a page that is filled. */
static char *place(char *page, size_t size, size_t align, bool right)
{
	char *end = page + GUARD_PAGE_BYTES;
	char *start = right ? (char *)align_down((uintptr_t)end - max_size(size, 1), align) : page;
	memset(page, FILL, GUARD_PAGE_BYTES);
	return memset(start, 0, size);
}

static void *missed(void)
{
	add_rlx(&x_missed, 1);
	return NULL;
}

void *guard_alloc(size_t size, size_t align, bool right)
{
	int saved = errno;
	struct guard_pool *pool = guard_pool();
	uint64_t before;
	size_t i = pool ? guard_claim(pool, &before) : GUARD_SLOTS;
	if (i == GUARD_SLOTS) {
		errno = saved;
		return missed();
	}
	struct guard_slot *s = &pool->slots[i];
	char *page = guard_page(pool, i);
	add_rlx(&x_resident, GUARD_PAGE_BYTES);
	if (pool_has_overgrown() || !os_commit(page, GUARD_PAGE_BYTES)) {
		sub_rlx(&x_resident, GUARD_PAGE_BYTES);
		store_rel(&pool->x_states[i], before); /* [D1+] */
		errno = saved;
		return missed();
	}
	char *start = place(page, size, max_size(align, BLOCK_ALIGN), right);
	store_rlx(&s->x_start, (uintptr_t)start);
	store_rlx(&s->x_size, size);
	store_rlx(&s->freed.x_thread, 0);
	record(&s->made);
	add_rlx(&x_ever, 1);
	store_rel(&pool->x_states[i], GUARD_LIVE); /* [D1+] */
	errno = saved;
	return start;
}

/* The first byte that is not as it was; or NULL. */
static const char *find_other(const char *from, const char *end)
{
	if (from == end || (*(const unsigned char *)from == FILL &&
				   memcmp(from, from + 1, (size_t)(end - from) - 1) == 0))
		return NULL;
	while (*(const unsigned char *)from == FILL)
		from++;
	return from;
}

/* The same of what surrounds a block. */
static const char *find_write(const char *page, const char *start, size_t size)
{
	const char *found = find_other(page, start);
	return found ? found : find_other(start + size, page + GUARD_PAGE_BYTES);
}

void guard_put(struct guard_pool *pool, size_t index)
{
	uint64_t number = add_rlx(&pool->x_frees, 1) + 1;
	store_rel(&pool->x_states[index], number << GUARD_STATE_BITS | GUARD_FREE); /* [D1] */
}

void guard_free(void *p)
{
	int saved = errno;
	struct guard_pool *pool = load_acq(&x_guard_pool); /* [D2] */
	size_t i = guard_index(pool, (uintptr_t)p);
	uint64_t live = GUARD_LIVE;
	if (i == GUARD_SLOTS || (uintptr_t)p != load_rlx(&pool->slots[i].x_start) ||
		!cas_acq(&pool->x_states[i], &live, GUARD_BUSY)) /* [D1+] */
		guard_blame(p, "free");
	struct guard_slot *s = &pool->slots[i];
	char *page = guard_page(pool, i);
	const char *written = find_write(page, p, load_rlx(&s->x_size));
	if (unlikely(written))
		guard_blame_write(p, "free", written);
	record(&s->freed);
	if (unlikely(!os_uncommit(page, GUARD_PAGE_BYTES)))
		add_rlx(&x_missed, 1);
	sub_rlx(&x_resident, GUARD_PAGE_BYTES);
	guard_put(pool, i);
	errno = saved;
}

size_t guard_bytes(const void *p, const char *call)
{
	struct guard_pool *pool = load_acq(&x_guard_pool); /* [D2] */
	size_t i = guard_index(pool, (uintptr_t)p);
	if (i == GUARD_SLOTS || (uintptr_t)p != load_rlx(&pool->slots[i].x_start) ||
		load_rlx(&pool->x_states[i]) != GUARD_LIVE)
		guard_blame(p, call);
	return load_rlx(&pool->slots[i].x_size);
}

size_t guard_resident(void)
{
	return load_rlx(&x_resident);
}

struct guard_counts guard_count(void)
{
	struct guard_counts c = {.ever = load_rlx(&x_ever), .missed = load_rlx(&x_missed)};
	struct guard_pool *pool = load_acq(&x_guard_pool); /* [D2] */
	c.reserved = pool ? GUARD_POOL_BYTES : 0;
	for (size_t i = 0; pool && i < GUARD_SLOTS; i++)
		if (load_rlx(&pool->x_states[i]) == GUARD_LIVE) {
			c.live++;
			c.live_bytes += load_rlx(&pool->slots[i].x_size);
		}
	return c;
}

void guard_verify(void)
{
	struct guard_pool *pool = load_acq(&x_guard_pool); /* [D2] */
	for (size_t i = 0; pool && i < GUARD_SLOTS; i++) {
		if (load_rlx(&pool->x_states[i]) != GUARD_LIVE)
			continue;
		const char *start = (const char *)load_rlx(&pool->slots[i].x_start);
		const char *written =
			find_write(guard_page(pool, i), start, load_rlx(&pool->slots[i].x_size));
		if (written)
			guard_blame_write(start, "hak_verify", written);
	}
}
