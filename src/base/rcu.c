/*
 * rcu.c: see rcu.h. liburcu's functions are found by name: as a library that
 * ours needs, it would add 0.05 ms to the start of every program.
 *
 * ThreadSanitizer cannot see liburcu's barriers: it is shown that the end of a
 * read section comes before the end of the grace period that waited for it.
 */
#include "base/rcu.h"

#include "base/atomic.h"

#include <dlfcn.h>

#define LIBRARY "liburcu-bp.so.8"

enum load_state { UNLOADED, LOADING, READY, ABSENT };
static _Atomic(uint32_t) x_state; /* any: enum load_state; release READY, acquire readers [U1] */

/* const once READY. Without liburcu's header, the build does not need it either. */
typedef void call(void);
static struct {
	call *enter_thread;
	call *lock;
	call *unlock;
	call *synchronize;
	call *before_fork;
	call *after_fork_parent;
	call *after_fork_child;
} urcu;

/* liburcu's thread-local data may call malloc, which may come here again. */
enum thread_state { OUTSIDE, REGISTERED, INSIDE };
static _Thread_local uint8_t tls_state; /* own */

#if HAK_TSAN
void __tsan_acquire(void *token);
void __tsan_release(void *token);
static char token;
#define SHOW_RELEASE() __tsan_release(&token)
#define SHOW_ACQUIRE() __tsan_acquire(&token)
#else
#define SHOW_RELEASE() ((void)0)
#define SHOW_ACQUIRE() ((void)0)
#endif

static bool find(void *library, void *function, const char *name)
{
	return (*(void **)function = dlsym(library, name)) != NULL;
}

static bool load(void)
{
	void *l = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	return l && find(l, &urcu.enter_thread, "urcu_bp_register_thread") &&
	       find(l, &urcu.lock, "urcu_bp_read_lock") &&
	       find(l, &urcu.unlock, "urcu_bp_read_unlock") &&
	       find(l, &urcu.synchronize, "urcu_bp_synchronize_rcu") &&
	       find(l, &urcu.before_fork, "urcu_bp_before_fork") &&
	       find(l, &urcu.after_fork_parent, "urcu_bp_after_fork_parent") &&
	       find(l, &urcu.after_fork_child, "urcu_bp_after_fork_child");
}

bool rcu_is_ready(void)
{
	return load_acq(&x_state) == READY; /* [U1] */
}

bool rcu_start(void)
{
	uint32_t state = UNLOADED;
	/* Relaxed: who wins has read nothing of another thread's. */
	if (load_rlx(&x_state) == UNLOADED && cas_rlx(&x_state, &state, LOADING))
		store_rel(&x_state, load() ? READY : ABSENT); /* [U1] */
	rcu_thread_start();
	return rcu_is_ready();
}

void rcu_thread_start(void)
{
	if (tls_state != OUTSIDE || !rcu_is_ready())
		return;
	tls_state = INSIDE;
	urcu.enter_thread();
	tls_state = REGISTERED;
}

/* liburcu takes a thread off its list by itself, and would put it there again for good. */
void rcu_thread_end(void)
{
	tls_state = INSIDE;
}

bool rcu_read_begin(void)
{
	if (tls_state != REGISTERED)
		return false;
	tls_state = INSIDE;
	urcu.lock();
	return true;
}

void rcu_read_end(void)
{
	SHOW_RELEASE();
	urcu.unlock();
	tls_state = REGISTERED;
}

bool rcu_wait(void)
{
	if (!rcu_is_ready())
		return false;
	uint8_t saved = tls_state;
	tls_state = INSIDE;
	urcu.synchronize();
	tls_state = saved;
	SHOW_ACQUIRE();
	return true;
}

/* Another thread may load liburcu between the two. */
static _Thread_local bool tls_forks; /* own */

void rcu_before_fork(void)
{
	tls_forks = rcu_is_ready();
	if (tls_forks)
		urcu.before_fork();
}

void rcu_after_fork_parent(void)
{
	if (tls_forks)
		urcu.after_fork_parent();
}

void rcu_after_fork_child(void)
{
	if (tls_forks)
		urcu.after_fork_child();
}
