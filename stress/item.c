/*
 * item.c: blocks with a pattern, bags of them, and the ways to hand them to
 * another thread without a lock.
 */
#include "common.h"

enum {
	WHOLE_BYTES = 1024, /* up to here every byte carries the pattern */
	EDGE_BYTES = 64,    /* else this much at head and tail, and words in between */
};

/* Signed: a child of fork may free more than it counted as its own. */
static _Atomic ptrdiff_t held;

/* Budget of the whole process; sanitizers need several bytes for each of ours. */
static ptrdiff_t budget_bytes(void)
{
	return (ptrdiff_t)(SANITIZED ? program.budget / 2 : program.budget);
}

/* Relaxed: the sum only paces the program, nothing is published by it. */
bool budget_take(size_t bytes)
{
	ptrdiff_t more = (ptrdiff_t)bytes;

	if (atomic_fetch_add_explicit(&held, more, memory_order_relaxed) + more <= budget_bytes())
		return true;
	budget_return(bytes);
	return false;
}

void budget_return(size_t bytes)
{
	atomic_fetch_sub_explicit(&held, (ptrdiff_t)bytes, memory_order_relaxed);
}

/* Depends on the offset only, so that a prefix stays valid when a block is resized. */
static uint64_t pattern_word(uint64_t tag, size_t offset)
{
	uint64_t x = (tag + offset) * 0x9e3779b97f4a7c15u;

	return x ^ (x >> 29);
}

static void __attribute__((noreturn)) pattern_broken(const struct item *it, size_t offset)
{
	size_t word = offset & ~(size_t)7;
	uint64_t want = pattern_word(it->tag, word);

	fail("block %p of %zu bytes (tag %#llx) holds %#x at offset %zu, not %#x", (void *)it->p,
		it->size, (unsigned long long)it->tag, it->p[offset], offset,
		(unsigned)(want >> (offset - word) * 8 & 0xff));
}

/* Writes or checks the bytes from..to; `from` is a multiple of 8. */
static void pattern_range(const struct item *it, size_t from, size_t to, bool write)
{
	size_t offset = from;

	for (; offset + 8 <= to; offset += 8) {
		uint64_t *word = (uint64_t *)(it->p + offset);
		uint64_t want = pattern_word(it->tag, offset);

		if (write)
			*word = want;
		else if (*word != want)
			for (size_t i = 0;; i++)
				if (it->p[offset + i] != (unsigned char)(want >> i * 8))
					pattern_broken(it, offset + i);
	}
	for (size_t i = 0; offset + i < to; i++) {
		unsigned char want = (unsigned char)(pattern_word(it->tag, offset) >> i * 8);

		if (write)
			it->p[offset + i] = want;
		else if (it->p[offset + i] != want)
			pattern_broken(it, offset + i);
	}
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Visits the pattern of the item as far as `limit`. */
static void pattern_walk(const struct item *it, size_t limit, bool write)
{
	size_t size = it->size;
	size_t end = smaller(size, limit);
	size_t stride = size <= 256 * KIB ? 4 * KIB : 64 * KIB;
	size_t tail;

	if (size <= WHOLE_BYTES) {
		pattern_range(it, 0, end, write);
		return;
	}
	pattern_range(it, 0, smaller(EDGE_BYTES, end), write);
	for (size_t offset = stride; offset + 8 <= end; offset += stride)
		pattern_range(it, offset, offset + 8, write);
	tail = (size - EDGE_BYTES) & ~(size_t)7;
	if (tail < end)
		pattern_range(it, tail, end, write);
}

void block_check_zero(const unsigned char *p, size_t size)
{
	size_t step = size <= MIB ? 8 : 4 * KIB;
	size_t offset = 0;

	for (; offset + 8 <= size; offset += step)
		if (*(const uint64_t *)(p + offset) != 0)
			fail("block %p of %zu bytes should be zero, is not at offset %zu",
				(const void *)p, size, offset);
	for (offset = size < EDGE_BYTES ? 0 : size - EDGE_BYTES; offset < size; offset++)
		if (p[offset] != 0)
			fail("block %p of %zu bytes should be zero, is %#x at offset %zu",
				(const void *)p, size, p[offset], offset);
}

void item_adopt(struct worker *w, struct item *it, void *p, size_t size)
{
	size_t usable;

	if (p == NULL)
		fail("no memory for %zu bytes", size);
	if ((uintptr_t)p % 16 != 0)
		fail("block %p of %zu bytes is not aligned to 16", p, size);
	usable = hak_usable_size(p);
	if (usable < size)
		fail("block %p has %zu usable bytes, %zu were asked for", p, usable, size);
	it->p = p;
	it->asked = size;
	it->size = random_chance(w, 6) ? usable : size;
	it->tag = ((uint64_t)(w->id + 1) << 40 | ++w->serial) << 16;
	pattern_walk(it, it->size, true);
}

bool item_new(struct worker *w, struct item *it, size_t size)
{
	if (!budget_take(size))
		return false;
	item_adopt(w, it, hak_malloc(size), size);
	return true;
}

bool item_zeroed(struct worker *w, struct item *it, size_t size)
{
	void *p;

	if (!budget_take(size))
		return false;
	p = random_chance(w, 50) ? hak_calloc(1, size) : hak_alloc(size, 0, HAK_ZERO);
	if (p != NULL)
		block_check_zero(p, size);
	item_adopt(w, it, p, size);
	return true;
}

void item_check(const struct item *it)
{
	pattern_walk(it, it->size, false);
}

bool item_resize(struct worker *w, struct item *it, size_t size)
{
	size_t kept = smaller(it->asked, size);
	size_t before = it->asked;
	void *p;

	if (!budget_take(size))
		return false;
	item_check(it);
	p = random_chance(w, 50) ? hak_realloc(it->p, size) : hak_reallocarray(it->p, 1, size);
	if (p == NULL)
		fail("no memory to resize a block from %zu to %zu bytes", before, size);
	it->p = p;
	pattern_walk(it, kept, false);
	item_adopt(w, it, p, size);
	budget_return(before);
	return true;
}

/* The head is inverted so that freeing the same block twice breaks a pattern. */
void *item_release(struct item *it)
{
	void *p = it->p;

	item_check(it);
	if (it->size > 0)
		it->p[0] = (unsigned char)~it->p[0];
	budget_return(it->asked);
	it->p = NULL;
	return p;
}

void item_free(struct item *it)
{
	hak_free(item_release(it));
}

void bag_put(struct bag *bag, const struct item *it)
{
	if (bag->count == BAG_ITEMS)
		fail("the bag is full: an error of this program");
	bag->items[bag->count++] = *it;
}

bool bag_full(const struct bag *bag)
{
	return bag->count == BAG_ITEMS;
}

struct item bag_pick(struct worker *w, struct bag *bag)
{
	size_t i = random_below(w, bag->count);
	struct item it = bag->items[i];

	bag->items[i] = bag->items[--bag->count];
	return it;
}

void bag_drain(struct worker *w, struct bag *bag)
{
	while (bag->count > 0) {
		struct item it = bag_pick(w, bag);

		item_free(&it);
	}
}

static struct item ticket_item(uint64_t ticket)
{
	return workers[ticket >> 32].outbox[(ticket & 0xffffffffu) - 1];
}

/*
 * The exchange releases our entry and acquires that of whom we displace; a
 * taker only acquires, so posting never learns of what takers did.
 */
bool slot_post(struct worker *w, slot *s, const struct item *it, struct item *displaced)
{
	uint64_t old;

	if (w->posted == OUTBOX_ITEMS) {
		*displaced = *it;
		return true;
	}
	w->outbox[w->posted++] = *it;
	old = atomic_exchange_explicit(
		s, (uint64_t)w->id << 32 | (uint64_t)w->posted, memory_order_acq_rel);
	if (old == 0)
		return false;
	*displaced = ticket_item(old);
	return true;
}

bool slot_take(slot *s, struct item *it)
{
	uint64_t ticket;

	if (atomic_load_explicit(s, memory_order_relaxed) == 0)
		return false;
	ticket = atomic_exchange_explicit(s, 0, memory_order_acquire);
	if (ticket == 0)
		return false;
	*it = ticket_item(ticket);
	return true;
}

void slots_drain(slot *s, size_t count)
{
	struct item it;

	for (size_t i = 0; i < count; i++)
		if (slot_take(&s[i], &it))
			item_free(&it);
}

/* Relaxed: pacing only, as with the budget. */
bool outbox_busy(const struct worker *w, size_t window)
{
	return w->posted == OUTBOX_ITEMS ||
	       w->posted - atomic_load_explicit(&w->claimed, memory_order_relaxed) >= window;
}

void outbox_send(struct worker *w, const struct item *it)
{
	if (w->posted == OUTBOX_ITEMS)
		fail("the outbox is full: an error of this program");
	w->outbox[w->posted++] = *it;
	atomic_store_explicit(&w->sent, w->posted, memory_order_release);
}

void outbox_close(struct worker *w)
{
	atomic_store_explicit(&w->closed, true, memory_order_release);
}

bool outbox_take(struct worker *from, struct item *it, bool *ended)
{
	/* Read before `sent`: what is sent before closing must not be missed. */
	bool closed = atomic_load_explicit(&from->closed, memory_order_acquire);
	size_t i = atomic_load_explicit(&from->claimed, memory_order_relaxed);

	while (i < atomic_load_explicit(&from->sent, memory_order_acquire)) {
		/* Relaxed: claims only keep takers apart; `sent` published the entry. */
		if (atomic_compare_exchange_weak_explicit(&from->claimed, &i, i + 1,
			    memory_order_relaxed, memory_order_relaxed)) {
			*it = from->outbox[i];
			return true;
		}
	}
	*ended = closed;
	return false;
}
