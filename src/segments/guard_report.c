/*
 * guard_report.c: says in one line what a program has done to a guarded block,
 * and then the stacks that are known. Runs in signal handlers: what it reads may
 * be changed meanwhile, which makes it wrong at worst.
 */
#include "base/check.h"
#include "base/stack.h"
#include "segments/guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NAME_BYTES 96

/* Frames of the library and of the handler come before those of the program. */
#define FAULT_FRAMES (GUARD_FRAMES + 8)

static void print_frame(unsigned number, uintptr_t pc)
{
	char name[NAME_BYTES];
	stack_name(pc, name, sizeof name);
	report("    #%u %s", number, name);
}

static void print_trace(const char *what, const struct guard_trace *t)
{
	uint32_t thread = load_rlx(&t->x_thread), count = load_rlx(&t->x_count);
	if (!thread)
		return;
	report("  %s by thread %u:", what, thread);
	for (unsigned i = 0; i < count && i < GUARD_FRAMES; i++)
		print_frame(i, load_rlx(&t->x_pcs[i]));
}

static void print_traces(const struct guard_slot *s)
{
	print_trace("allocated", &s->made);
	print_trace("freed", &s->freed);
}

/* From the frame at `pc` on, where there is one. Last, because a broken stack may end it. */
static NOINLINE void print_own_stack(const char *what, uintptr_t pc)
{
	uintptr_t pcs[FAULT_FRAMES];
	unsigned count = stack_take(pcs, FAULT_FRAMES), first = 0;
	while (first < count && pcs[first] != pc)
		first++;
	if (first == count)
		first = 0;
	report("  %s by thread %u:", what, (unsigned)gettid());
	for (unsigned i = first; i < count; i++)
		print_frame(i - first, pcs[i]);
}

static bool was_used(const struct guard_pool *pool, size_t i)
{
	return i < GUARD_SLOTS && load_rlx(&pool->slots[i].x_start);
}

/* Bytes between an address and the block, which are 0 within. */
static size_t distance(const struct guard_slot *s, uintptr_t address)
{
	uintptr_t start = load_rlx(&s->x_start), end = start + load_rlx(&s->x_size);
	return address < start ? start - address : address < end ? 0 : address - end + 1;
}

/* The slot whose block was most likely meant; NULL: none was ever near. */
static const struct guard_slot *nearest(const struct guard_pool *pool, uintptr_t address)
{
	size_t i = guard_index(pool, address);
	bool in_page = i < GUARD_SLOTS && address >= (uintptr_t)guard_page(pool, i);
	const struct guard_slot *here = was_used(pool, i) ? &pool->slots[i] : NULL;
	if (in_page || i == 0 || !was_used(pool, i - 1))
		return here;
	const struct guard_slot *before = &pool->slots[i - 1];
	return here && distance(here, address) < distance(before, address) ? here : before;
}

/* "12 bytes before a block of 48 bytes at 0x...", or none. */
static void describe(const struct guard_slot *s, uintptr_t address, char *text, size_t bytes)
{
	uintptr_t start = load_rlx(&s->x_start);
	size_t size = load_rlx(&s->x_size);
	const char *where = address < start ? "before" : "into";
	size_t offset = address < start ? start - address : address - start;
	if (address >= start + size) {
		where = "behind the end of";
		offset = address - start - size;
	}
	snprintf(text, bytes, "%zu bytes %s a block of %zu bytes at %p", offset, where, size,
		(void *)start);
}

void guard_blame(const void *p, const char *call)
{
	struct guard_pool *pool = load_acq(&x_guard_pool); /* [D2] */
	const struct guard_slot *s = nearest(pool, (uintptr_t)p);
	char where[160] = "no block was there";
	if (s)
		describe(s, (uintptr_t)p, where, sizeof where);
	bool start = s && (uintptr_t)p == load_rlx(&s->x_start);
	bool freed = s && load_rlx(&s->freed.x_thread);
	report("%s(%p): %s (guarded: %s)", call, p,
		start && freed ? "double free: the block is free"
		: start        ? "the block is just being freed, or made"
			       : "not the start of a block",
		where);
	if (s)
		print_traces(s);
	print_own_stack("called", 0);
	abort();
}

void guard_blame_write(const void *p, const char *call, const char *byte)
{
	struct guard_pool *pool = load_acq(&x_guard_pool); /* [D2] */
	const struct guard_slot *s = &pool->slots[guard_index(pool, (uintptr_t)p)];
	char where[160];
	describe(s, (uintptr_t)byte, where, sizeof where);
	report("%s(%p): %s: something was written at %p, %s", call, p,
		byte < (const char *)p ? "underflow" : "overflow", (const void *)byte, where);
	print_traces(s);
	print_own_stack("found", 0);
	abort();
}

bool guard_explain_fault(uintptr_t address, bool write, uintptr_t pc)
{
	if (!guard_has((const void *)address))
		return false;
	struct guard_pool *pool = load_acq(&x_guard_pool); /* [D2] */
	const struct guard_slot *s = nearest(pool, address);
	char where[160] = "no block was there", code[NAME_BYTES];
	const char *kind = "wild access";
	stack_name(pc, code, sizeof code);
	if (s) {
		describe(s, address, where, sizeof where);
		/* The page of a block in use is accessible, so that of this one is free. */
		bool in_page = (address - pool->base) % GUARD_SLOT_BYTES >= GUARD_PAGE_BYTES;
		bool before = address < load_rlx(&s->x_start);
		kind = in_page ? "use after free" : before ? "underflow" : "overflow";
	}
	report("%s: %s at %p, %s; by %s", kind, write ? "write" : "read", (void *)address, where,
		code);
	if (s)
		print_traces(s);
	print_own_stack("done", pc);
	return true;
}
