/*
 * stacks.c: see stacks.h. All are one thread of the system. Each has its own copy
 * of the program's thread-local variables, which is put in place while it runs.
 */
#include "stacks.h"

#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STACK_BYTES ((size_t)256 * 1024)
#define TLS_MAX 4096

static struct thread {
	char *stack;
	void *sp;
	struct op *op;
	bool ended;
	char tls[TLS_MAX];
} threads[MODEL_THREADS];

static const struct scenario *scenario;
static char *tls_start;
static size_t tls_bytes;

/* Saves what a function must preserve on this stack, and takes it from the other. */
void stack_switch(void **save, void *load);
__asm__(".text\n.globl stack_switch\n.hidden stack_switch\n.type stack_switch,@function\n"
	"stack_switch:\n"
	"	push %rbp\n	push %rbx\n	push %r12\n	push %r13\n	push %r14\n	"
	"push %r15\n"
	"	mov %rsp,(%rdi)\n	mov %rsi,%rsp\n"
	"	pop %r15\n	pop %r14\n	pop %r13\n	pop %r12\n	pop %rbx\n	"
	"pop %rbp\n"
	"	ret\n.size stack_switch,.-stack_switch\n");

/* The program's own block ends where the thread pointer points. */
static int find_tls(struct dl_phdr_info *info, size_t bytes, void *unused)
{
	(void)bytes;
	(void)unused;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];
		if (h->p_type != PT_TLS)
			continue;
		tls_bytes = align_up(h->p_memsz, h->p_align);
		tls_start = (char *)__builtin_thread_pointer() - tls_bytes;
	}
	return 1; /* the first is the program */
}

void threads_init(void)
{
	dl_iterate_phdr(find_tls, NULL);
	for (unsigned t = 0; t < MODEL_THREADS; t++) {
		threads[t].stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (threads[t].stack == MAP_FAILED || tls_bytes > TLS_MAX) {
			perror("threads_init");
			exit(2);
		}
	}
}

bool is_stack(uintptr_t address)
{
	uintptr_t thread = (uintptr_t)__builtin_thread_pointer();
	char here;
	for (unsigned t = 0; t < MODEL_THREADS; t++)
		if (address - (uintptr_t)threads[t].stack < STACK_BYTES)
			return true;
	/* The stack of number 0; and whatever is thread-local, errno too. */
	return (address >= (uintptr_t)&here && address < (uintptr_t)&here + 64 * 1024 * 1024) ||
	       address - (thread - 64 * 1024) < 128 * 1024;
}

static void thread_main(void)
{
	scenario->thread[running - 1]();
	threads[running].ended = true;
	threads_pause(NULL);
	__builtin_unreachable();
}

void threads_begin(const struct scenario *s)
{
	scenario = s;
	for (unsigned t = 0; t < MODEL_THREADS; t++) {
		struct thread *thread = &threads[t];
		void **sp = (void **)(thread->stack + STACK_BYTES) - 2;
		*sp = (void *)(uintptr_t)thread_main; /* where stack_switch returns to */
		thread->sp = sp - 6;
		thread->op = NULL;
		thread->ended = t == 0 || !s->thread[t - 1];
		if (t > 0)
			memcpy(thread->tls, tls_start, tls_bytes);
	}
}

void threads_keep_own(bool restore)
{
	if (restore)
		memcpy(tls_start, threads[0].tls, tls_bytes);
	else
		memcpy(threads[0].tls, tls_start, tls_bytes);
}

void threads_run(unsigned t)
{
	running = t;
	static char mine[TLS_MAX];
	memcpy(mine, tls_start, tls_bytes);
	memcpy(tls_start, threads[t].tls, tls_bytes);
	stack_switch(&threads[0].sp, threads[t].sp);
	memcpy(threads[t].tls, tls_start, tls_bytes);
	memcpy(tls_start, mine, tls_bytes);
	running = 0;
}

struct op *threads_op(unsigned t)
{
	return threads[t].ended ? NULL : threads[t].op;
}

void threads_pause(struct op *op)
{
	threads[running].op = op;
	stack_switch(&threads[running].sp, threads[0].sp);
}
