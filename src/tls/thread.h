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

/* This thread's heap, whoever uses it now; NULL before its first call and after its end. */
extern _Thread_local struct heap *tls_home; /* own */

/*
 * From what heap_take found, a heap to go on with: this thread's, made at its
 * first call; a borrowed one in a signal handler that interrupts a call which has
 * that, and once it went at the thread's end. NULL with ENOMEM, otherwise errno is
 * preserved. heap_leave ends the use.
 */
struct heap *heap_enter_slow(struct heap *found);
void heap_leave_borrowed(struct heap *h);

/* Lets go of all that this thread's heap has and does not need; not while a call uses that. */
void thread_flush(void);

/*
 * The heap that this thread should go on with, where there are several nodes:
 * the one it has, or one of the node it has moved to for good, or of the policy
 * that it was put under. `fresh`: it is about to get memory not used before,
 * which is when the user's policy is looked at.
 */
struct heap *thread_place(struct heap *h, bool fresh);

/* Takes a heap of the shard and closes this thread's, h; h if there is no memory. */
struct heap *thread_move(struct heap *h, unsigned shard);

static inline struct heap *heap_enter(void)
{
	struct heap *h = heap_take();
	return likely(h == tls_home) ? h : heap_enter_slow(h);
}

static inline void heap_leave(struct heap *h)
{
	if (likely(h == tls_home))
		heap_give(h);
	else
		heap_leave_borrowed(h);
}

#endif
