/*
 * Signals at every point of malloc and free, with handlers that allocate and free themselves:
 * timers of 50 kHz and a thread that does nothing but send signals, into threads that do nothing
 * but allocate. Handlers interrupt handlers too. Every block carries its own tag, so that memory
 * handed out twice, or written to when free, is noticed.
 *
 * Started with "raw", the handlers are installed behind the library's back, by the system call.
 */
#include "api.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum {
	WORKERS = 3,
	SECONDS = 3,
	BLOCKS = 64, /* of a worker */
	KEPT = 8,    /* of its handlers */
	SLOTS = 64,  /* of the mailbox */
	DEPTH = 3,   /* handlers on top of each other */
	TIMER_NS = 20000,
};

struct block {
	size_t bytes;
	uint64_t tag;
};

struct worker {
	pthread_t thread;
	_Atomic pid_t x_tid;
	uint64_t seed, handler_seed;
	struct block *blocks[BLOCKS];
	/* Of the handlers, which interrupt each other: taken and left by exchange. */
	struct block *_Atomic x_kept[KEPT];
	volatile int depth;
	timer_t timer;
	volatile bool timed, dropped;
	atomic_bool x_sent; /* a signal of the sender's is on its way */
	_Atomic uint64_t x_signals, x_inside, x_nested, x_operations;
};

static struct worker workers[WORKERS];
static _Thread_local struct worker *self;
static struct block *_Atomic x_mailbox[SLOTS];
static atomic_bool x_stop;
static bool raw;
static uintptr_t text_from, text_to; /* of the library that malloc is from */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Small ones most of the time, whales now and then. */
static size_t draw_bytes(uint64_t *seed)
{
	uint64_t draw = rng_next(seed), kind = draw >> 54;
	size_t most = kind < 4 ? 5 * MIB : kind < 60 ? 512 * KIB : kind < 250 ? 16 * KIB : 512;

	return sizeof(struct block) + draw % (most - 15) / 8 * 8;
}

static uint64_t *last_word(struct block *b)
{
	return (uint64_t *)((char *)b + b->bytes - 8);
}

static struct block *make(uint64_t *seed)
{
	size_t bytes = draw_bytes(seed);
	uint64_t kind = rng_next(seed) % 16;
	struct block *b = kind == 0   ? a_calloc(1, bytes)
			  : kind == 1 ? a_aligned_alloc(64, (bytes + 63) & ~(size_t)63)
				      : a_malloc(bytes);

	CHECK(b, "no memory for %zu bytes", bytes);
	if (kind == 0)
		CHECK(b->bytes == 0 && b->tag == 0, "calloc(1, %zu) is not zero", bytes);
	b->bytes = bytes;
	b->tag = rng_next(seed) | 1;
	if (bytes > sizeof *b)
		*last_word(b) = b->tag;
	return b;
}

static void check(struct block *b)
{
	CHECK(b->tag & 1, "block %p: written to, or handed out twice", (void *)b);
	if (b->bytes > sizeof *b)
		CHECK(*last_word(b) == b->tag, "block %p of %zu bytes: its end is not its own",
			(void *)b, b->bytes);
}

static void drop(struct block *b)
{
	if (!b)
		return;
	check(b);
	b->tag = 0;
	errno = 77;
	a_free(b);
	CHECK(errno == 77, "free changed errno to %d", errno);
}

static struct block *resize(struct block *b, uint64_t *seed)
{
	size_t bytes = draw_bytes(seed);
	uint64_t tag = b->tag;

	check(b);
	b = a_realloc(b, bytes);
	CHECK(b && b->tag == tag, "realloc to %zu bytes lost the contents", bytes);
	b->bytes = bytes;
	if (bytes > sizeof *b)
		*last_word(b) = tag;
	return b;
}

/* A block of anybody's, the interrupted thread's among them, is freed or left for others. */
static void exchange(uint64_t *seed, struct block *b)
{
	drop(atomic_exchange(&x_mailbox[rng_next(seed) % SLOTS], b));
}

static void handle(struct worker *w)
{
	uint64_t seed = w->handler_seed += 0x9e3779b97f4a7c15u;

	for (unsigned n = 1 + rng_next(&seed) % 3; n > 0; n--) {
		struct block *_Atomic *x_slot = &w->x_kept[rng_next(&seed) % KEPT];
		uint64_t kind = rng_next(&seed) % 8;

		if (kind == 0)
			exchange(&seed, NULL);
		else if (kind == 1)
			exchange(&seed, make(&seed));
		else if (kind == 2)
			drop(atomic_exchange(x_slot, NULL));
		else
			drop(atomic_exchange(x_slot, make(&seed)));
	}
}

/*
 * Another signal of each kind may come. Not before: on a busy machine signals come faster
 * than handlers begin or end, and those that do not would fill the stack. So each handler
 * allows one more on top of it, and when one was dropped the interrupted thread does.
 */
static void more(struct worker *w)
{
	struct itimerspec once = {.it_value = {0, TIMER_NS}};

	atomic_store(&w->x_sent, false);
	if (w->timed)
		timer_settime(w->timer, 0, &once, NULL);
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	uintptr_t pc = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	struct worker *w = self;
	int saved = errno;

	(void)sig;
	(void)info;
	if (!w)
		return;
	if (w->depth == DEPTH) {
		w->dropped = true;
		return;
	}
	atomic_fetch_add_explicit(&w->x_signals, 1, memory_order_relaxed);
	if (pc >= text_from && pc < text_to)
		atomic_fetch_add_explicit(&w->x_inside, 1, memory_order_relaxed);
	if (w->depth > 0)
		atomic_fetch_add_explicit(&w->x_nested, 1, memory_order_relaxed);
	w->depth = w->depth + 1;
	more(w);
	handle(w);
	w->depth = w->depth - 1;
	errno = saved;
}

static void work_once(struct worker *w)
{
	struct block **slot = &w->blocks[rng_next(&w->seed) % BLOCKS];
	uint64_t kind = rng_next(&w->seed) % 16;

	if (!*slot)
		*slot = make(&w->seed);
	else if (kind == 0)
		*slot = resize(*slot, &w->seed);
	else if (kind < 4) {
		exchange(&w->seed, *slot);
		*slot = NULL;
	} else {
		drop(*slot);
		*slot = NULL;
	}
}

static void start_timer(struct worker *w, int sig)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = sig};

	event._sigev_un._tid = gettid();
	CHECK(timer_create(CLOCK_MONOTONIC, &event, &w->timer) == 0, "timer_create: %s",
		strerror(errno));
	w->timed = true;
	more(w);
}

static void *work(void *argument)
{
	struct worker *w = argument;

	self = w;
	start_timer(w, SIGUSR2);
	atomic_store(&w->x_tid, gettid());
	while (!atomic_load_explicit(&x_stop, memory_order_relaxed)) {
		work_once(w);
		if (w->dropped) {
			w->dropped = false;
			more(w);
		}
		atomic_fetch_add_explicit(&w->x_operations, 1, memory_order_relaxed);
	}
	atomic_store(&w->x_tid, 0);
	w->timed = false;
	timer_delete(w->timer);
	for (int i = 0; i < BLOCKS; i++)
		drop(w->blocks[i]);
	/* The thread ends, and its heap goes, under signals as well. */
	for (int i = 0; i < 50; i++)
		syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1);
	return NULL;
}

/* As fast as can be. */
static void send_signals(void)
{
	double end = now() + SECONDS;

	while (now() < end)
		for (int i = 0; i < WORKERS; i++) {
			pid_t tid = atomic_load(&workers[i].x_tid);

			if (tid && !atomic_exchange(&workers[i].x_sent, true))
				syscall(SYS_tgkill, getpid(), tid, SIGUSR1);
		}
}

/* What glibc passes to the kernel for it. */
struct kernel_action {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void (*restorer)(void);
	unsigned long mask;
};

__asm__(".globl restore_rt\nrestore_rt:\n\tmov $15, %eax\n\tsyscall\n");
void restore_rt(void);

static void install(int sig)
{
	struct sigaction action = {
		.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART | SA_NODEFER};
	struct kernel_action direct = {
		on_signal, SA_SIGINFO | SA_RESTART | SA_NODEFER | 0x04000000, restore_rt, 0};

	if (raw)
		CHECK(syscall(SYS_rt_sigaction, sig, &direct, NULL, 8) == 0, "rt_sigaction: %s",
			strerror(errno));
	else
		CHECK(sigaction(sig, &action, NULL) == 0, "sigaction: %s", strerror(errno));
}

static int find_text(struct dl_phdr_info *info, size_t bytes, void *address)
{
	uintptr_t p = (uintptr_t)address;

	(void)bytes;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		uintptr_t from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;

		if (p >= from && p < from + info->dlpi_phdr[i].p_memsz) {
			text_from = from;
			text_to = from + info->dlpi_phdr[i].p_memsz;
		}
	}
	return 0;
}

static void check_all(void)
{
	size_t (*verify)(void) = (size_t(*)(void))dlsym(RTLD_DEFAULT, "hak_verify");
	uint64_t signals = 0, inside = 0, nested = 0, operations = 0;

	for (int i = 0; i < SLOTS; i++)
		drop(atomic_exchange(&x_mailbox[i], NULL));
	for (int i = 0; i < WORKERS; i++) {
		for (int k = 0; k < KEPT; k++)
			drop(atomic_exchange(&workers[i].x_kept[k], NULL));
		signals += atomic_load(&workers[i].x_signals);
		inside += atomic_load(&workers[i].x_inside);
		nested += atomic_load(&workers[i].x_nested);
		operations += atomic_load(&workers[i].x_operations);
	}
	if (verify)
		verify();
	printf("%llu signals, %llu of them in the allocator, %llu on top of another; %llu "
	       "operations\n",
		(unsigned long long)signals, (unsigned long long)inside, (unsigned long long)nested,
		(unsigned long long)operations);
	/* A sanitizer brings signals when it sees fit. */
	CHECK(TEST_SANITIZED || (inside >= 1000 && nested >= 100), "too few: %llu, %llu",
		(unsigned long long)inside, (unsigned long long)nested);
}

int main(int argc, char **argv)
{
	raw = argc > 1 && strcmp(argv[1], "raw") == 0;
#if TEST_FORM_HAK && !defined(HAK_SANITIZE) && !defined(HAK_GUARD)
	test_skip("the archive is for handlers that allocate only when it is built with GUARD=1");
#endif
	api_begin();
	dl_iterate_phdr(find_text, (void *)(uintptr_t)a_malloc);
	install(SIGUSR1);
	install(SIGUSR2);
	alarm(60);
	for (int i = 0; i < WORKERS; i++) {
		workers[i].seed = 1 + (uint64_t)i;
		CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0,
			"pthread_create");
	}
	send_signals();
	atomic_store(&x_stop, true);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i].thread, NULL);
	check_all();
	return 0;
}
