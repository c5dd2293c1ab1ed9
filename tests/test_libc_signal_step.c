/*
 * A signal at every instruction of malloc and free, and at every instruction with which the handler
 * of that one ends, the code that calls sigreturn included: both handlers allocate and free. The
 * processor's single steps are the signals, so nothing is left to chance.
 */
#include "test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum { HELD = 4, ROUNDS = 40 };

static const size_t sizes[] = {24, 24, 700, 7000, 100, 24};
static unsigned long steps, steps_at_end;
static char stack[1 << 18]; /* of the handlers: where it was interrupted tells them apart */
static char *held[HELD];

/* From here on, and until a context without the flag is gone back to. */
static inline void step_on(void)
{
	__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "cc", "memory");
}

static inline void step_off(void)
{
	__asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "cc", "memory");
}

static char *make(size_t bytes, char value)
{
	char *block = malloc(bytes);

	CHECK(block, "malloc(%zu)", bytes);
	memset(block, value, bytes);
	return block;
}

static void drop(char *block, size_t bytes, char value)
{
	for (size_t i = 0; i < bytes; i++)
		CHECK(block[i] == value, "a block of %zu bytes was handed out twice", bytes);
	free(block);
}

static void on_step(int sig, siginfo_t *info, void *context)
{
	uintptr_t sp = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RSP];
	bool at_end = sp - (uintptr_t)stack < sizeof stack;
	size_t bytes = sizes[(at_end ? ++steps_at_end : ++steps) % 4];
	char value = at_end ? 'E' : 'S';
	char *one = make(bytes, value), *other = make(bytes, value);

	(void)sig;
	(void)info;
	drop(one, bytes, value);
	drop(other, bytes, value);
	/* The handler's last instructions; what it goes back to has the flag anyway. */
	if (!at_end)
		step_on();
}

int main(void)
{
	struct sigaction action = {
		.sa_sigaction = on_step, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
	stack_t own = {.ss_sp = stack, .ss_size = sizeof stack};

	CHECK(sigaltstack(&own, NULL) == 0, "sigaltstack");
	CHECK(sigaction(SIGTRAP, &action, NULL) == 0, "sigaction");
	for (int round = 0; round < ROUNDS; round++) {
		size_t bytes = sizes[round % 6];
		char value = (char)('a' + round % 26);

		for (int i = 0; i < HELD; i++) {
			step_on();
			held[i] = malloc(bytes);
			step_off();
			CHECK(held[i], "malloc(%zu)", bytes);
			memset(held[i], value, bytes);
		}
		for (int i = 0; i < HELD; i++) {
			for (size_t at = 0; at < bytes; at++)
				CHECK(held[i][at] == value,
					"a block of %zu bytes was handed out twice", bytes);
			step_on();
			free(held[i]);
			step_off();
		}
	}
	printf("%lu steps, %lu as their handlers ended\n", steps, steps_at_end);
	CHECK(steps > 2000 && steps_at_end > 2000, "too few steps: %lu, %lu", steps, steps_at_end);
	return 0;
}
