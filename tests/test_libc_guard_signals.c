/*
 * With guarded blocks (HAKMEM_GUARD_SAMPLE=1) the library has a handler of SIGSEGV. The program sees
 * nothing of it: its own handlers get all faults but those in such blocks, the default action is what
 * it was, and what sigaction and signal tell is what the program has set.
 */
#include "api.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static sigjmp_buf back;
static volatile sig_atomic_t faults;
static void *volatile seen_address;
static char *mapping;

static void jump(int sig)
{
	faults = faults + 1;
	siglongjmp(back, sig);
}

static void jump_with_info(int sig, siginfo_t *info, void *context)
{
	(void)context;
	seen_address = info->si_addr;
	jump(sig);
}

/* As a collector of garbage does: makes the page accessible, and the access goes on. */
static void allow(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	faults = faults + 1;
	seen_address = info->si_addr;
	if (mprotect(mapping, 4096, PROT_READ | PROT_WRITE) != 0)
		_exit(9);
}

static void install(void (*action)(int, siginfo_t *, void *), int flags)
{
	struct sigaction act = {.sa_sigaction = action, .sa_flags = SA_SIGINFO | flags};

	CHECK(sigaction(SIGSEGV, &act, NULL) == 0, "sigaction: %s", strerror(errno));
}

/* Faults where nothing is, and comes back. */
static void fault_and_return(void)
{
	int before = faults;

	if (sigsetjmp(back, 1) == 0)
		*(volatile char *)mapping = 1;
	CHECK(faults == before + 1, "%d faults handled", faults - before);
}

static void use_after_free(void)
{
	char *volatile block = malloc(100);

	free(block);
	block[50] = 1;
}

static void expect_default(const char *when)
{
	struct sigaction now;

	CHECK(sigaction(SIGSEGV, NULL, &now) == 0 && now.sa_handler == SIG_DFL && now.sa_flags == 0,
		"%s: handler %p, flags %#x", when, (void *)now.sa_sigaction, now.sa_flags);
}

/* ---- What a child does; each ends by a fault ------------------------------------------------ */

static void default_fault(void)
{
	expect_default("at the start");
	*(volatile char *)mapping = 1;
}

static void default_raise(void)
{
	raise(SIGSEGV);
}

static void own_then_fault(void)
{
	install(jump_with_info, 0);
	for (int i = 0; i < 3; i++) {
		fault_and_return();
		CHECK(seen_address == mapping, "si_addr is %p", seen_address);
	}
	use_after_free();
}

static void own_that_allows(void)
{
	install(allow, SA_NODEFER);
	*(volatile char *)mapping = 1;
	CHECK(faults == 1 && seen_address == mapping && *mapping == 1, "%d faults", (int)faults);
	use_after_free();
}

static void own_by_signal(void)
{
	CHECK(signal(SIGSEGV, jump) == SIG_DFL, "there was a handler");
	fault_and_return();
	use_after_free();
}

/* A handler for one fault: the next one meets the default action. */
static void own_once(void)
{
	install(jump_with_info, (int)SA_RESETHAND);
	fault_and_return();
	CHECK(signal(SIGSEGV, SIG_DFL) == SIG_DFL, "there is a handler still");
	*(volatile char *)mapping = 1;
}

static void own_and_default(void)
{
	CHECK(signal(SIGSEGV, jump) == SIG_DFL, "there was a handler");
	CHECK(signal(SIGSEGV, SIG_DFL) == jump, "not the handler");
	expect_default("after signal");
	install(jump_with_info, 0);
	struct sigaction act = {.sa_handler = SIG_DFL}, old;

	CHECK(sigaction(SIGSEGV, &act, &old) == 0 && old.sa_sigaction == jump_with_info &&
			(old.sa_flags & SA_SIGINFO) && !(old.sa_flags & SA_ONSTACK),
		"handler %p, flags %#x", (void *)old.sa_sigaction, old.sa_flags);
	expect_default("after sigaction");
	use_after_free();
}

static int recurse(volatile char *above)
{
	volatile char here[512];

	here[0] = above[0];
	return seen_address ? 0 : recurse(here) + here[0];
}

static void own_overflow(void)
{
	stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
	volatile char top[1] = {0};

	CHECK(sigaltstack(&stack, NULL) == 0, "sigaltstack: %s", strerror(errno));
	install(jump_with_info, SA_ONSTACK);
	if (sigsetjmp(back, 1) == 0)
		recurse(top);
	CHECK(faults == 1, "%d faults", (int)faults);
	use_after_free();
}

static void others_unchanged(void)
{
	CHECK(signal(SIGUSR1, SIG_IGN) == SIG_DFL && signal(SIGUSR1, SIG_DFL) == SIG_IGN,
		"SIGUSR1");
	CHECK(signal(SIGSEGV, SIG_IGN) == SIG_DFL && signal(SIGSEGV, SIG_DFL) == SIG_IGN,
		"ignored");
	use_after_free();
}

static const struct {
	const char *name;
	void (*body)(void);
	bool reported; /* ends in a guarded block */
} cases[] = {
	{"default", default_fault, false},
	{"raise", default_raise, false},
	{"own", own_then_fault, true},
	{"allows", own_that_allows, true},
	{"signal", own_by_signal, true},
	{"once", own_once, false},
	{"back", own_and_default, true},
	{"overflow", own_overflow, true},
	{"others", others_unchanged, true},
};

int main(int argc, char **argv)
{
	static struct child child;

	api_begin();
	mapping = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(mapping != MAP_FAILED, "mmap: %s", strerror(errno));
	setenv("HAKMEM_GUARD_SAMPLE", "1", 1);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *again[] = {argv[0], (char *)cases[i].name, NULL};

		if (argc == 2 && strcmp(argv[1], cases[i].name))
			continue;
		if (argc == 2) {
			cases[i].body();
			return 0;
		}
		child_exec(&child, again, environ);
		CHECK(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGSEGV, "%s: %s",
			cases[i].name, child_what(&child));
		bool reported =
			strstr(child.text, "hakmem: use after free: write at") == child.text;

		CHECK(cases[i].reported ? reported : child.bytes == 0, "%s: %s", cases[i].name,
			child_what(&child));
	}
	return 0;
}
