/*
 * thread.c: see thread.h. A thread's end is learned from a pthread key. The
 * heap goes at the first call of its destructor: waiting for a later round
 * would lose the heaps of threads that first allocate in a destructor, because
 * nobody can tell which round it is. What the thread still allocates or frees
 * after that uses a borrowed heap.
 */
#include "tls/thread.h"

#include "base/check.h"
#include "base/checkers.h"
#include "base/rcu.h"
#include "numa/place.h"
#include "policy/choice.h"
#include "policy/clock.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

_Thread_local struct heap *tls_heap = &heap_none;
_Thread_local struct heap *tls_home;

enum key_state { KEY_NONE, KEY_MAKING, KEY_READY, KEY_FAILED };
static _Atomic(uint32_t) x_key_state; /* any: enum key_state; release READY, acquire readers */
static pthread_key_t key;             /* const once KEY_READY */

static void thread_end(void *heap)
{
	/* In use: a handler that interrupted a call has ended the thread, and that call with it. */
	bool in_use = heap_take() == &heap_away;
	struct heap *next = in_use ? tls_home->left : tls_home;
	(void)heap;
	checkers_off();
	if (gettid() == getpid())
		clock_end();
	tls_home = NULL;
	choice_thread_end();
	rcu_thread_end();
	while (next) {
		struct heap *h = next;
		next = h->left;
		h->left = NULL;
		heap_put(h);
	}
	checkers_on();
}

void thread_init(void)
{
	uint32_t state = KEY_NONE;
	/* Relaxed: who wins has read nothing of another thread's. */
	if (load_rlx(&x_key_state) != KEY_NONE || !cas_rlx(&x_key_state, &state, KEY_MAKING))
		return;
	bool made = pthread_key_create(&key, thread_end) == 0;
	store_rel(&x_key_state, made ? KEY_READY : KEY_FAILED); /* [K1] */
	if (!made)
		report("no pthread key is left: the heaps of threads that end are lost");
}

/* Not yet, while another thread is just making the key (nobody waits) or memory is out. */
void thread_register(struct heap *h)
{
	uint32_t state = load_acq(&x_key_state); /* [K1] */
	h->unregistered =
		state == KEY_MAKING || (state == KEY_READY && pthread_setspecific(key, h) != 0);
}

struct heap *heap_enter_slow(struct heap *found)
{
	int saved = errno;
	bool nested = found == &heap_away;
	/* Made, or moved to, by a handler that came in heap_take. */
	if (!nested && tls_home)
		return tls_home;
	thread_init();
	struct heap *h = heap_get(place_shard(), false);
	if (!nested && h) {
		tls_home = h;
		thread_register(h);
	} else if (!nested) {
		heap_give(found);
	}
	if (h)
		errno = saved;
	return h;
}

void thread_flush(void)
{
	struct heap *h = heap_take();
	if (h == tls_home)
		heap_flush(h);
	heap_give(h);
}

void heap_leave_borrowed(struct heap *h)
{
	int saved = errno;
	heap_put(h);
	errno = saved;
}
