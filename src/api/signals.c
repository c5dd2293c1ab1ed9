/*
 * signals.c: sigaction and signal, passed on to glibc with a handler of ours in
 * front of the program's. While a handler has interrupted code of this library,
 * the thread's heap is away (tls/heap.h), so that malloc and free in the handler
 * never meet a heap whose fast path is half done; otherwise the program's handler
 * runs as if there was nothing in between.
 *
 * Each of the program's handlers gets an entry of ours for good. The kernel's
 * table names the entry, so that what glibc or others read and write there stays
 * true; when a program asks, it is told its own handler.
 */
#include "api/faults.h"
#include "base/atomic.h"
#include "tls/heap.h"

#include <dlfcn.h>
#include <signal.h>
#include <ucontext.h>

#define EXPORT __attribute__((visibility("default")))

typedef void action(int, siginfo_t *, void *);

/* Handlers that one process can have; further ones are installed as they are. */
#define ENTRIES 64

static action *_Atomic x_handlers[ENTRIES]; /* any: relaxed; NULL to handler, then const */

/* Of this library, from the linker. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char etext[] __attribute__((visibility("hidden")));

/* At least the length of the code that a handler returns to, which calls sigreturn. */
#define RESTORER_BYTES 16

/*
 * `frame` is where the kernel puts the context when it calls an entry. Elsewhere lies
 * that of a call by another handler, if it passes one at all: then nothing is known.
 * Nor is it of a handler that has just returned to `restorer`, and goes on from there
 * with what it interrupted.
 */
static ALWAYS_INLINE bool may_be_ours(const void *context, const void *frame, const void *restorer)
{
	if (unlikely(context != frame))
		return true;
	uintptr_t pc = (uintptr_t)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	return (pc >= (uintptr_t)__ehdr_start && pc < (uintptr_t)etext) ||
	       pc - (uintptr_t)restorer < RESTORER_BYTES;
}

/*
 * A handler that never returns leaves the heap away, and what the thread calls
 * from there on gets borrowed ones: safe, but slow. Only one that interrupts a call
 * of the allocator can do so; after that, POSIX allows no malloc at all.
 */
static ALWAYS_INLINE void enter(int sig, siginfo_t *info, void *context, unsigned entry)
{
	action *handler = load_rlx(&x_handlers[entry]);
	struct heap *h = tls_heap;
	if (unlikely(sig == SIGSEGV) && context == __builtin_dwarf_cfa() && faults_explain(context))
		return;
	if (likely(h == &heap_away ||
		    !may_be_ours(context, __builtin_dwarf_cfa(), __builtin_return_address(0)))) {
		handler(sig, info, context);
		return;
	}
	heap_hold();
	handler(sig, info, context);
	heap_give(h);
}

#define ENTRY(n)                                                                                   \
	static void entry_##n(int sig, siginfo_t *info, void *context)                             \
	{                                                                                          \
		enter(sig, info, context, 0##n);                                                   \
	}
#define EIGHT(X, n) X(n##0) X(n##1) X(n##2) X(n##3) X(n##4) X(n##5) X(n##6) X(n##7)
#define ALL(X)                                                                                     \
	EIGHT(X, 0)                                                                                \
	EIGHT(X, 1) EIGHT(X, 2) EIGHT(X, 3) EIGHT(X, 4) EIGHT(X, 5) EIGHT(X, 6) EIGHT(X, 7)
ALL(ENTRY)

#define NAME(n) [0##n] = entry_##n,
static action *const entries[ENTRIES] = {ALL(NAME)};

/* What the kernel is to call; the handler itself where that is nothing to call, or there is no room. */
static action *wrap(action *handler)
{
	uintptr_t value = (uintptr_t)handler;
	if (value <= (uintptr_t)SIG_HOLD || value == (uintptr_t)SIG_ERR) /* SIG_DFL, SIG_IGN */
		return handler;
	if (handler == faults_handle)
		return handler;
	for (unsigned i = 0; i < ENTRIES; i++) {
		action *found = load_rlx(&x_handlers[i]);
		/* Relaxed: only the pointer itself is passed on. */
		if ((!found && cas_rlx(&x_handlers[i], &found, handler)) || found == handler)
			return entries[i];
	}
	return handler;
}

/* What the program calls it. */
static action *unwrap(action *handler)
{
	for (unsigned i = 0; i < ENTRIES; i++)
		if (handler == entries[i])
			return load_rlx(&x_handlers[i]);
	return handler;
}

/* ---- The calls ------------------------------------------------------------------------------ */

typedef int sigaction_call(int, const struct sigaction *, struct sigaction *);
typedef sighandler_t signal_call(int, sighandler_t);

/* The next in line, which need not be glibc's. const after start-up, before any handler. */
static sigaction_call *next_sigaction;
static signal_call *next_signal, *next_sysv_signal, *next_sigset;

static void find(void *function, const char *name)
{
	*(void **)function = dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void find_all(void)
{
	find(&next_sigaction, "sigaction");
	find(&next_signal, "signal");
	find(&next_sysv_signal, "sysv_signal");
	find(&next_sigset, "sigset");
}

EXPORT int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	struct sigaction copy;
	if (unlikely(!next_sigaction))
		find_all();
	if (act && !faults_replace(sig, act, &copy)) {
		copy = *act;
		copy.sa_sigaction = wrap(act->sa_sigaction);
	}
	int r = next_sigaction(sig, act ? &copy : NULL, old);
	if (r == 0 && old) {
		faults_hide(old);
		old->sa_sigaction = unwrap(old->sa_sigaction);
	}
	return r;
}

/* Between the two types of handler; by way of one that fits all functions. */
static action *as_action(sighandler_t handler)
{
	return (action *)(void (*)(void))handler;
}

/* These return the handler before; they differ in the flags that they set. */
static sighandler_t pass_on(signal_call *const *next, int sig, sighandler_t handler)
{
	struct sigaction act = {.sa_handler = handler}, shown;
	if (unlikely(!*next))
		find_all();
	if (faults_replace(sig, &act, &shown))
		return sigaction(sig, &act, &shown) == 0 ? shown.sa_handler : SIG_ERR;
	handler = (sighandler_t)(void (*)(void))wrap(as_action(handler));
	shown.sa_handler = (*next)(sig, handler);
	faults_hide(&shown);
	return (sighandler_t)(void (*)(void))unwrap(shown.sa_sigaction);
}

EXPORT sighandler_t signal(int sig, sighandler_t handler)
{
	return pass_on(&next_signal, sig, handler);
}

EXPORT sighandler_t sysv_signal(int sig, sighandler_t handler)
{
	return pass_on(&next_sysv_signal, sig, handler);
}

EXPORT sighandler_t sigset(int sig, sighandler_t handler)
{
	return pass_on(&next_sigset, sig, handler);
}

/* Other names that glibc has for them; __sysv_signal is what strict ISO programs call. */
#define ALSO(name, same)                                                                           \
	sighandler_t name(int sig, sighandler_t handler);                                          \
	EXPORT sighandler_t name(int sig, sighandler_t handler)                                    \
	{                                                                                          \
		return pass_on(&same, sig, handler);                                               \
	}
ALSO(bsd_signal, next_signal)
ALSO(ssignal, next_signal)
ALSO(__sysv_signal, next_sysv_signal)

int __sigaction(int sig, const struct sigaction *act, struct sigaction *old);
EXPORT int __sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	return sigaction(sig, act, old);
}
