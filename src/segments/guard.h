/*
 * guard.h: blocks with a system page of their own between two pages without
 * access (option guard_sample). They lie in one small reservation; what is known
 * of each, the stacks that asked for it and freed it among it, lies elsewhere.
 * A freed block is inaccessible, and stays so for long.
 */
#ifndef SEGMENTS_GUARD_H
#define SEGMENTS_GUARD_H

#include "base/atomic.h"
#include "segments/limits.h"

#define GUARD_PAGE_BYTES ((size_t)4096)

/* Blocks of more bytes, or of a larger alignment, are never guarded. */
#define GUARD_BYTES_MAX GUARD_PAGE_BYTES

/* A slot is a page without access and one for a block; the last slot's are the end. */
#define GUARD_SLOT_BYTES (2 * GUARD_PAGE_BYTES)
#define GUARD_POOL_BYTES GRANULE_BYTES
#define GUARD_SLOTS (GUARD_POOL_BYTES / GUARD_SLOT_BYTES - 1)

/* So many other blocks are freed before the slot of a freed one is used again. */
#define GUARD_QUARANTINE (GUARD_SLOTS / 4)

#define GUARD_FRAMES 16

/* Who asked for a block, or freed it. Written by the slot's owner. */
struct guard_trace {
	_Atomic(uint32_t) x_thread;             /* any reads, relaxed; 0: there is none */
	_Atomic(uint32_t) x_count;              /* the same; of the addresses */
	_Atomic(uintptr_t) x_pcs[GUARD_FRAMES]; /* the same; see stack_take */
};

/* What a slot holds, or held last. Written by its owner, read by reports at any time. */
struct guard_slot {
	_Atomic(uintptr_t) x_start; /* any reads, relaxed; of the block, 0: there was none */
	_Atomic(size_t) x_size;     /* the same; as it was asked for */
	struct guard_trace made, freed;
};

/* In the low bits of x_states; above them, while FREE, the number of that free. */
enum guard_state {
	GUARD_FREE, /* no access to the page; 0 as a whole: never used */
	GUARD_BUSY, /* owned by whoever made it that */
	GUARD_LIVE, /* the program's; free makes it BUSY */
};
#define GUARD_STATE_BITS 2
#define GUARD_STATE_MASK (((uint64_t)1 << GUARD_STATE_BITS) - 1)

struct guard_pool {
	uintptr_t base;                          /* const */
	_Atomic(uint64_t) x_states[GUARD_SLOTS]; /* any: cas [D1] */
	_Atomic(uint64_t) x_frees;               /* any: relaxed; ever */
	struct guard_slot slots[GUARD_SLOTS];
};

/* Made with the first guarded block. any: [D2] */
extern struct guard_pool *_Atomic x_guard_pool;

/* Does it point into the pool, at a block or not? */
static inline bool guard_has(const void *p)
{
	struct guard_pool *pool = load_acq(&x_guard_pool); /* [D2] */
	return unlikely(pool) && (uintptr_t)p - pool->base < GUARD_POOL_BYTES;
}

/*
 * A zeroed block of up to GUARD_BYTES_MAX, aligned to a power of two of at most
 * that; at the end of its page (`right`), as near as the alignment allows, or at
 * its start. NULL when there is no slot or no memory, with errno as it was.
 */
void *guard_alloc(size_t size, size_t align, bool right);

/*
 * Frees a block, or says how large it is: exactly what was asked. `p` is in the
 * pool; what is no block in use there is reported as an argument of `call`, with
 * all that is known, then abort. So is what was written around a block.
 */
void guard_free(void *p);
size_t guard_bytes(const void *p, const char *call);

/*
 * An instruction at `pc` has touched inaccessible memory at `address`. In the pool:
 * says what that means. Otherwise false. For signal handlers.
 */
bool guard_explain_fault(uintptr_t address, bool write, uintptr_t pc);

/* Of the pages of blocks: bytes that may be resident. */
size_t guard_resident(void);

/* Blocks in use, and their bytes; ever; not had, or not closed. Bytes of address space. */
struct guard_counts {
	uint64_t live, live_bytes, ever, missed, reserved;
};
struct guard_counts guard_count(void);

/* Looks for writes around blocks in use. For hak_verify: nobody may free meanwhile. */
void guard_verify(void);

/* ---- The protocol, of which these are made --------------------------------------------------- */

/* The pool, made when there is none; NULL: no memory. */
struct guard_pool *guard_pool(void);

/*
 * The index of a slot that is the caller's (BUSY), and its word before, which ends
 * that if it is put back; GUARD_SLOTS: there is none. guard_put ends it by a free.
 */
size_t guard_claim(struct guard_pool *pool, uint64_t *before);
void guard_put(struct guard_pool *pool, size_t index);

/* ---- For reports --------------------------------------------------------------------------- */

/* The slot that an address is in, or comes before; GUARD_SLOTS: behind the last one. */
static inline size_t guard_index(const struct guard_pool *pool, uintptr_t address)
{
	return (address - pool->base) / GUARD_SLOT_BYTES;
}

static inline char *guard_page(const struct guard_pool *pool, size_t index)
{
	return (char *)pool->base + index * GUARD_SLOT_BYTES + GUARD_PAGE_BYTES;
}

/* Reports that `p`, given to `call`, is no block in use there; or what was found around one. */
_Noreturn void guard_blame(const void *p, const char *call);
_Noreturn void guard_blame_write(const void *p, const char *call, const char *byte);

#endif
