/*
 * stopper.c: see suspend.h. One stop at a time; each has values of its own in the
 * futex word, so that a late signal of an earlier one is not taken for it.
 */
#include "suspend.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum { IDLE, WANTED, TAKEN, STOPPED, STATES };

/* Signals are sent again after so long, and no longer than so long in all. */
#define AGAIN_NS 100000
#define PATIENCE_NS 50000000

static _Atomic uint32_t x_state; /* futex word: IDLE, WANTED or STOPPED, plus STATES times stops */
static _Atomic int x_lane;
static _Atomic uintptr_t x_pc;
static _Thread_local const _Atomic bool *tls_inside; /* NULL: not to be stopped */
static _Thread_local int tls_lane;
static uint64_t sent;

/* Async-signal-safe: atomics and system calls only. Of several threads one is stopped. */
static void on_stop(int sig, siginfo_t *info, void *context)
{
	const ucontext_t *c = context;
	uint32_t state = atomic_load(&x_state);
	int saved = errno;

	(void)sig;
	(void)info;
	if (state % STATES != WANTED || tls_inside == NULL || !atomic_load(tls_inside) ||
		!atomic_compare_exchange_strong(&x_state, &state, state - WANTED + TAKEN))
		return;
	atomic_store(&x_pc, (uintptr_t)c->uc_mcontext.gregs[REG_RIP]);
	atomic_store(&x_lane, tls_lane);
	state += STOPPED - WANTED;
	atomic_store(&x_state, state);
	while (atomic_load(&x_state) == state)
		syscall(SYS_futex, &x_state, FUTEX_WAIT_PRIVATE, state, NULL, NULL, 0);
	errno = saved;
}

void stop_begin(void)
{
	struct sigaction action = {.sa_sigaction = on_stop, .sa_flags = SA_SIGINFO | SA_RESTART};

	sigaction(SIGUSR1, &action, NULL);
}

void stop_allow(const _Atomic bool *inside, unsigned lane)
{
	tls_lane = (int)lane;
	__asm__ volatile("" : : : "memory"); /* the lane first */
	tls_inside = inside;
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static bool wait_stopped(uint32_t idle, int64_t limit)
{
	while (atomic_load(&x_state) != idle + STOPPED) {
		if (atomic_load(&x_state) == idle + WANTED && now_ns() > limit)
			return false;
		nanosleep(&(struct timespec){.tv_nsec = 1000}, NULL);
	}
	return true;
}

int stop_any(const _Atomic int *const *tids, unsigned count)
{
	uint32_t idle = atomic_load(&x_state), wanted = idle + WANTED;
	int64_t end = now_ns() + PATIENCE_NS;

	atomic_store(&x_state, wanted);
	while (now_ns() < end) {
		for (unsigned i = 0; i < count; i++) {
			int tid = atomic_load(tids[i]);

			if (tid != 0)
				syscall(SYS_tgkill, getpid(), tid, SIGUSR1);
			sent += tid != 0;
		}
		if (wait_stopped(idle, now_ns() + AGAIN_NS))
			return atomic_load(&x_lane);
	}
	if (atomic_compare_exchange_strong(&x_state, &wanted, idle))
		return -1;
	wait_stopped(idle, INT64_MAX);
	return atomic_load(&x_lane);
}

uint64_t stop_signals(void)
{
	return sent;
}

uintptr_t stop_address(void)
{
	return atomic_load(&x_pc);
}

void stop_end(void)
{
	atomic_fetch_add(&x_state, STATES - STOPPED);
	syscall(SYS_futex, &x_state, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
