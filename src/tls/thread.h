/*
 * thread.h: the heap of a thread, from its first allocation to its end.
 */
#ifndef TLS_THREAD_H
#define TLS_THREAD_H

#include "tls/heap.h"

/* Once, before threads exist; called again it does nothing. */
void thread_init(void);

/* Arranges for the heap to be put back when this thread ends, now or at a later call. */
void thread_register(struct heap *h);

/*
 * This thread's heap, made at its first call. Once that heap went at the
 * thread's end, a borrowed one. NULL with ENOMEM, otherwise errno is preserved.
 * heap_leave ends the use.
 */
struct heap *heap_enter_first(void);
void heap_leave_borrowed(struct heap *h);

/*
 * The heap that this thread should go on with, where there are several nodes:
 * the one it has, or one of the node it has moved to for good, or of the policy
 * that it was put under. `fresh`: it is about to get memory not used before,
 * which is when the user's policy is looked at.
 */
struct heap *thread_place(struct heap *h, bool fresh);

/* Takes a heap of the shard and puts this thread's, h, back; h if there is no memory. */
struct heap *thread_move(struct heap *h, unsigned shard);

static inline struct heap *heap_enter(void)
{
	struct heap *h = tls_heap;
	return likely(h != &heap_none) ? h : heap_enter_first();
}

static inline void heap_leave(struct heap *h)
{
	if (unlikely(h != tls_heap))
		heap_leave_borrowed(h);
}

#endif
