/*
 * No call of the allocator waits: threads that allocate, resize, free each other's blocks, use and
 * destroy heaps, purge and end are watched by a seccomp filter that catches every futex call that
 * could put them to sleep, and every sleep. Only the library's helper thread, not watched, does.
 */
#include "hakmem.h"
#include "test.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { THREADS = 4, LIVES = 60, OPERATIONS = 3000, SLOTS = 256, HELD = 32 };

static void *_Atomic x_mailbox[SLOTS];
static hak_heap *shared;
static _Atomic long x_waits, x_last_call;
static _Atomic uint64_t x_operations;
static _Thread_local volatile bool inside; /* between call and return of the allocator */
static pthread_key_t first_key, last_key;

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IS(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)

/* FUTEX_WAKE and the like pass; all that may sleep is a trap. */
static struct sock_filter filter[] = {
	LOAD(nr),
	IS(SYS_futex, 4, 0),
	IS(SYS_nanosleep, 7, 0),
	IS(SYS_clock_nanosleep, 6, 0),
	IS(SYS_sched_yield, 5, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	LOAD(args[1]),
	BPF_STMT(BPF_ALU | BPF_AND | BPF_K, FUTEX_CMD_MASK),
	IS(FUTEX_WAKE, 1, 0),
	IS(FUTEX_WAKE_BITSET, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
};

/* libc's own calls are told to try again; the allocator's are counted. */
static void on_trap(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	if (inside) {
		atomic_fetch_add(&x_waits, 1);
		atomic_store(&x_last_call, info->si_syscall);
	}
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = -EAGAIN;
}

static void watch(void)
{
	struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs: %s", strerror(errno));
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
		test_skip("seccomp: %s", strerror(errno));
}

static size_t draw_bytes(uint64_t *seed)
{
	uint64_t draw = rng_next(seed), kind = draw >> 54;

	return draw % (kind < 5 ? 6 * MIB : kind < 100 ? 600 * KIB : 4 * KIB) + 1;
}

static void *allocate(uint64_t *seed)
{
	size_t bytes = draw_bytes(seed);
	char *block = rng_next(seed) % 4 ? hak_malloc(bytes) : hak_heap_alloc(shared, bytes, 0, 0);

	CHECK(block, "no memory for %zu bytes", bytes);
	block[0] = block[bytes - 1] = 1;
	return block;
}

static void operate(void **held, uint64_t *seed)
{
	void **slot = &held[rng_next(seed) % HELD];
	uint64_t kind = rng_next(seed) % 1000;

	if (kind == 0) {
		hak_purge();
	} else if (kind < 5) {
		hak_heap *heap = hak_heap_create();

		CHECK(heap && hak_heap_alloc(heap, draw_bytes(seed), 0, 0), "a heap");
		hak_heap_destroy(heap);
	} else if (!*slot) {
		*slot = allocate(seed);
	} else if (kind < 100) {
		*slot = hak_realloc(*slot, draw_bytes(seed));
	} else {
		/* Most are freed by another thread. */
		hak_free(atomic_exchange(&x_mailbox[rng_next(seed) % SLOTS], *slot));
		*slot = NULL;
	}
}

/* The destructor of the heap's key comes between those of the first key and the last. */
static void ending(void *unused)
{
	(void)unused;
	inside = true;
}

static void ended(void *unused)
{
	(void)unused;
	inside = false;
}

static void *live(void *argument)
{
	uint64_t seed = (uintptr_t)argument;
	void *held[HELD] = {0};

	watch();
	pthread_setspecific(first_key, held);
	pthread_setspecific(last_key, held);
	inside = true;
	for (int i = 0; i < OPERATIONS; i++)
		operate(held, &seed);
	for (int i = 0; i < HELD; i++)
		hak_free(held[i]);
	inside = false;
	atomic_fetch_add(&x_operations, OPERATIONS);
	return NULL;
}

/* The watch itself must see a thread that waits. */
static void *wait_once(void *word)
{
	watch();
	inside = true;
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	inside = false;
	return NULL;
}

static void join(pthread_t thread)
{
	CHECK(pthread_join(thread, NULL) == 0, "pthread_join");
}

__attribute__((constructor)) static void make_first_key(void)
{
	pthread_key_create(&first_key, ending);
}

int main(void)
{
	struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_NODEFER};
	pthread_t threads[THREADS];
	uint32_t word = 0;

	if (TEST_SANITIZED)
		test_skip("the sanitizers wait themselves");
	sigaction(SIGSYS, &action, NULL);
	alarm(120);
	CHECK(pthread_create(&threads[0], NULL, wait_once, &word) == 0, "pthread_create");
	join(threads[0]);
	CHECK(atomic_exchange(&x_waits, 0) == 1, "a thread that waits is not seen");
	hak_free(hak_malloc(1));
	pthread_key_create(&last_key, ended);
	hak_option_set("purge_delay_ms", "10");
	CHECK(hak_helper_start() == 0, "the helper: %s", strerror(errno));
	shared = hak_heap_create();
	for (uintptr_t life = 0; life < LIVES / THREADS; life++) {
		for (uintptr_t i = 0; i < THREADS; i++)
			CHECK(pthread_create(&threads[i], NULL, live,
				      (void *)(life * THREADS + i + 1)) == 0,
				"pthread_create");
		for (int i = 0; i < THREADS; i++)
			join(threads[i]);
	}
	for (int i = 0; i < SLOTS; i++)
		hak_free(atomic_exchange(&x_mailbox[i], NULL));
	hak_heap_destroy(shared);
	printf("%llu operations, %ld waits\n", (unsigned long long)atomic_load(&x_operations),
		atomic_load(&x_waits));
	CHECK(atomic_load(&x_waits) == 0, "the allocator waited %ld times, last by call %ld",
		atomic_load(&x_waits), atomic_load(&x_last_call));
	return 0;
}
