/*
 * secure.c: see secure.h. Random numbers come from the kernel once; keys are
 * drawn from them by a mixing function, which is not a cipher: it keeps a
 * program's bug from being a tool, not a secret from who reads all memory.
 */
#include "segments/secure.h"

#if HAK_SECURE

#include "base/os.h"

#include <errno.h>
#include <string.h>

static _Atomic(uint64_t) x_secret; /* any: relaxed; cas 0 to a random number */
static _Atomic(uint64_t) x_draws;  /* any: relaxed; keys drawn */

static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint64_t secure_random(void)
{
	uint64_t secret = load_rlx(&x_secret);
	if (unlikely(!secret)) {
		uint64_t mine = os_random() | 1, none = 0;
		secret = cas_rlx(&x_secret, &none, mine) ? mine : none;
	}
	return mix(secret + add_rlx(&x_draws, 1) * 0x9e3779b97f4a7c15u);
}

void secure_big(struct page *page)
{
	page->mark = secure_random() & ~(uint64_t)3; /* freelist.h counts from here */
}

void secure_page(struct page *page, size_t block_bytes)
{
	size_t most = align_down(load_rlx(&options.x_wipe_bytes), BLOCK_ALIGN);
	page->list_key = secure_random();
	secure_big(page);
	page->wiped = (uint32_t)min_size(block_bytes, most);
	page->span_bytes = (uint32_t)(page->slices * SLICE_BYTES);
}

/* More is faster given back: it may not even be resident. */
#define PURGE_FROM GRANULE_BYTES

bool secure_wipe_big(char *start, size_t bytes, size_t room)
{
	size_t wiped = min_size(bytes, load_rlx(&options.x_wipe_bytes));
	if (wiped >= PURGE_FROM && !load_rlx(&options.x_purge_lazily)) {
		size_t purged = min_size(align_up(wiped, GRANULE_BYTES), room);
		int saved = errno;
		if (os_purge(start, purged))
			return purged == room;
		errno = saved; /* locked memory */
	}
	memset(start, 0, wiped);
	return false;
}

void secure_wipe_page(const struct page *page)
{
	size_t bytes = load_rlx(&page->x_bytes);
	for (unsigned i = 0; i < load_rlx(&page->x_carved); i++)
		memset(page->start + i * bytes, 0, page->wiped);
}

void secure_order(uint16_t *order, size_t count)
{
	uint64_t state = secure_random();
	for (size_t i = 0; i < count; i++) {
		size_t j = (size_t)(((state >> 32) * (i + 1)) >> 32);
		order[i] = order[j];
		order[j] = (uint16_t)i;
		state = secure_next(state);
	}
}

#endif
