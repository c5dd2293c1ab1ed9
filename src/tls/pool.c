/*
 * pool.c: heaps between threads. A free heap waits on its node's stack; the
 * links are indices outside the heaps' own data, the head carries a tag.
 *
 *              | get                 | put
 *   get        | CAS, tag            | CAS, tag
 *   put        |                     | CAS, tag
 */
#include "base/check.h"
#include "base/options.h"
#include "base/os.h"
#include "tls/heap.h"

#include <errno.h>
#include <string.h>

#define CHUNKS_MAX 4096

static struct heap *_Atomic x_chunks[CHUNKS_MAX]; /* any: cas acq_rel; const once set */
static _Atomic(uint32_t) x_count;                 /* any: relaxed; heaps handed out */

#define TAG_ONE ((uint64_t)1 << 32)

unsigned heap_count(void)
{
	return load_rlx(&x_count);
}

struct heap *heap_at(unsigned index)
{
	struct heap *chunk = load_acq(&x_chunks[index / HEAPS_PER_CHUNK]); /* [C1] */
	return chunk ? &chunk[index % HEAPS_PER_CHUNK] : NULL;
}

static struct heap *chunk_get(unsigned index)
{
	struct heap *chunk = load_acq(&x_chunks[index]); /* [C1] */
	if (chunk)
		return chunk;
	struct heap *made = os_map(HEAPS_PER_CHUNK * sizeof(struct heap));
	if (!made)
		return NULL;
	if (cas_acq_rel(&x_chunks[index], &chunk, made)) /* [C1] */
		return made;
	os_unmap(made, HEAPS_PER_CHUNK * sizeof(struct heap));
	return chunk;
}

static struct heap *make(unsigned node, bool first_class)
{
	uint32_t index = load_rlx(&x_count);
	struct heap *chunk;
	do {
		if (index >= CHUNKS_MAX * HEAPS_PER_CHUNK ||
			!(chunk = chunk_get(index / HEAPS_PER_CHUNK))) {
			errno = ENOMEM;
			return NULL;
		}
	} while (!cas_rlx(&x_count, &index, index + 1));
	struct heap *h = &chunk[index % HEAPS_PER_CHUNK];
	memcpy(h->direct, heap_none.direct, sizeof h->direct);
	memcpy(h->current, heap_none.current, sizeof h->current);
	memcpy(h->front, heap_none.front, sizeof h->front);
	h->mid_room = load_rlx(&options.x_heap_cache_bytes);
	h->index = index;
	h->node = h->place = (uint8_t)node;
	h->first_class = first_class;
	return h;
}

/* The heap on top of a stack word, whose low half is its index plus one. */
static struct heap *top(uint64_t word)
{
	uint32_t index = (uint32_t)word;
	return index ? heap_at(index - 1) : NULL;
}

static struct heap *pop(unsigned node, bool first_class)
{
	_Atomic(uint64_t) *stack = &nodes[node].x_heaps[first_class];
	uint64_t word = load_acq(stack); /* [H1] */
	for (;;) {
		struct heap *h = top(word);
		if (!h)
			return NULL;
		uint64_t rest = (word & ~(TAG_ONE - 1)) + TAG_ONE + load_rlx(&h->x_next_free);
		if (cas_weak_acq_rel(stack, &word, rest)) /* [H1] */
			return h;
	}
}

struct heap *heap_get(unsigned node, bool first_class)
{
	struct heap *h = pop(node, first_class);
	if (!h)
		h = make(node, first_class);
	if (h)
		heap_open(h);
	return h;
}

void heap_open(struct heap *h)
{
	quarantine_open(h);
	store_sc(&h->x_state, HEAP_LIVE); /* [F2+] */
}

static void push(struct heap *h)
{
	_Atomic(uint64_t) *stack = &nodes[h->node].x_heaps[h->first_class];
	uint64_t word = load_rlx(stack), mine;
	do {
		store_rlx(&h->x_next_free, (uint32_t)word);
		mine = (word & ~(TAG_ONE - 1)) + TAG_ONE + h->index + 1;
	} while (!cas_weak_rel(stack, &word, mine)); /* [H1] */
}

void heap_close(struct heap *h)
{
	/* A heap that is FREE owns no page, so nobody can be told to send it a block;
	 * what came in before is freed here, what comes late is freed by its sender. */
	h->leaving = true;
	quarantine_open(h);
	for (;;) {
		heap_flush(h);
		xchg_sc(&h->x_state, HEAP_FREE); /* [F2] */
		if (!load_sc(&h->inbox.x_list))  /* [F2] */
			break;
		xchg_sc(&h->x_state, HEAP_LIVE); /* [F2+] */
	}
	h->leaving = h->unregistered = false;
	h->place = h->node;
}

void heap_put(struct heap *h)
{
	heap_close(h);
	push(h);
}
