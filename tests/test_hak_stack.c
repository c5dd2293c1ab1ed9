/*
 * How deep the allocator goes: each call runs on a painted stack of its own, and what it has
 * touched is measured; the library's own frames, those of the C library and of a signal that
 * comes meanwhile apart. Then the same calls in a thread with the least stack there may be, and in
 * a handler on an alternative stack with no more than what is promised.
 */
#include "hakmem.h"
#include "test.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

/* What the manual page promises: for blocks, and for hak_purge. */
enum { BLOCK_BYTES = 8 * 1024, PURGE_BYTES = 12 * 1024 };

enum { STACK = 256 * 1024, PAINT = 0xa5, MANY = 1500 };

static void *held[MANY];
static ucontext_t here, there;
static void (*body)(void);

static void nothing(void)
{
}

static void small_blocks(void)
{
	for (size_t bytes = 1; bytes < 60000; bytes += bytes / 8 + 1)
		hak_free(hak_malloc(bytes));
}

/* Grows beyond all that is looked at once: limits, huge pages. */
static void grow(void)
{
	for (int i = 0; i < MANY; i++)
		held[i] = hak_malloc(i % 3 ? 40000 : 200000);
}

/* The bytes kept are none: every free purges. */
static void shrink(void)
{
	for (int i = 0; i < MANY; i++)
		hak_free(held[i]);
}

static void whales(void)
{
	void *block = hak_malloc(3 * MIB);

	for (size_t bytes = 4 * MIB; bytes <= 80 * MIB; bytes += 19 * MIB)
		block = hak_realloc(block, bytes);
	block = hak_realloc(block, 1 * MIB);
	hak_free(hak_aligned_alloc(4 * MIB, 5 * MIB));
	hak_free(hak_calloc(1, 70000));
	hak_free(block);
}

static void heaps(void)
{
	hak_heap *heap = hak_heap_create();

	for (size_t bytes = 8; bytes < 8 * MIB; bytes *= 3)
		hak_free(hak_heap_alloc(heap, bytes, 0, HAK_ZERO));
	hak_heap_alloc(heap, 3 * MIB, 0, 0);
	hak_heap_destroy(heap);
}

static void no_memory(void)
{
	CHECK(hak_malloc((size_t)1 << 60) == NULL, "an exbibyte");
}

static void purge(void)
{
	hak_purge();
}

static const struct call {
	const char *name;
	void (*body)(void);
	size_t most;
} calls[] = {
	{"small blocks", small_blocks, BLOCK_BYTES},
	{"growth", grow, BLOCK_BYTES},
	{"frees that purge", shrink, BLOCK_BYTES},
	{"whales", whales, BLOCK_BYTES},
	{"heaps", heaps, BLOCK_BYTES},
	{"no memory", no_memory, BLOCK_BYTES},
	{"hak_purge", purge, PURGE_BYTES},
};

static void call_body(void)
{
	body();
}

/* Bytes of a fresh stack that the function has touched. */
static size_t depth(void (*function)(void))
{
	unsigned char *stack =
		mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t at = 0;

	CHECK(stack != MAP_FAILED, "mmap: %s", strerror(errno));
	memset(stack, PAINT, STACK);
	body = function;
	getcontext(&there);
	there.uc_stack.ss_sp = stack;
	there.uc_stack.ss_size = STACK;
	there.uc_link = &here;
	makecontext(&there, call_body, 0);
	swapcontext(&here, &there);
	while (at < STACK && stack[at] == PAINT)
		at++;
	munmap(stack, STACK);
	return STACK - at;
}

static void all_calls(void)
{
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		calls[i].body();
}

static void *in_thread(void *unused)
{
	all_calls();
	return unused;
}

static volatile sig_atomic_t handled;

static void on_signal(int sig)
{
	(void)sig;
	all_calls();
	handled = 1;
}

static void least_stacks(void)
{
	stack_t alternative = {.ss_size = (size_t)sysconf(_SC_MINSIGSTKSZ) + PURGE_BYTES};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	CHECK(pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN) == 0, "16 KiB");
	CHECK(pthread_create(&thread, &attributes, in_thread, NULL) == 0, "pthread_create");
	CHECK(pthread_join(thread, NULL) == 0, "pthread_join");
	/* What lies below it cannot be touched. */
	size_t bytes = (alternative.ss_size + 4095) & ~(size_t)4095;
	char *map = mmap(NULL, bytes + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(map != MAP_FAILED && mprotect(map + 4096, bytes, PROT_READ | PROT_WRITE) == 0,
		"mmap: %s", strerror(errno));
	alternative.ss_sp = map + 4096;
	CHECK(sigaltstack(&alternative, NULL) == 0, "sigaltstack: %s", strerror(errno));
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	CHECK(handled, "no signal");
}

int main(void)
{
	size_t none;

	if (TEST_SANITIZED)
		test_skip("the sanitizers make every frame larger");
	CHECK(hak_option_set("purge_bytes", "0") == 0 && hak_option_set("purge_percent", "0") == 0,
		"options");
	none = depth(nothing);
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		size_t bytes = depth(calls[i].body) - none;

		printf("%-18s %5zu bytes of stack, at most %zu\n", calls[i].name, bytes,
			calls[i].most);
		CHECK(bytes <= calls[i].most, "%s: %zu bytes of stack", calls[i].name, bytes);
	}
	least_stacks();
	return 0;
}
