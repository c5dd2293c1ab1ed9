/*
 * A program that links the archive and has a handler of SIGSEGV before the library has its own, which
 * it installs for guarded blocks: the program's gets all faults but those in such blocks. One that is
 * installed later gets all.
 */
#include "hakmem.h"
#include "test.h"

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
static void *volatile seen_address;

static void jump(int sig, siginfo_t *info, void *context)
{
	(void)context;
	seen_address = info->si_addr;
	siglongjmp(back, sig);
}

static void install(void)
{
	struct sigaction act = {.sa_sigaction = jump, .sa_flags = SA_SIGINFO};

	CHECK(sigaction(SIGSEGV, &act, NULL) == 0, "sigaction: %s", strerror(errno));
}

/* Before the constructor of the library, which has no priority. */
__attribute__((constructor(101))) static void early(void)
{
	if (getenv("HAKMEM_GUARD_SAMPLE"))
		install();
}

static void fault_and_return(char *at)
{
	seen_address = NULL;
	if (sigsetjmp(back, 1) == 0)
		*(volatile char *)at = 1;
	CHECK(seen_address == at, "si_addr is %p, not %p", seen_address, (void *)at);
}

int main(int argc, char **argv)
{
	static struct child child;
	char *mapping = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(mapping != MAP_FAILED, "mmap: %s", strerror(errno));
	if (argc == 2) {
		char *block = hak_malloc(100);

		hak_free(block);
		fault_and_return(mapping);
		fault_and_return(mapping + 8);
		if (!strcmp(argv[1], "later")) {
			install();
			fault_and_return(block);
			fault_and_return(mapping);
			_exit(0);
		}
		*(volatile char *)block = 1;
		return 0;
	}
	setenv("HAKMEM_GUARD_SAMPLE", "1", 1);
	char *again[] = {argv[0], (char *)"earlier", NULL};

	child_exec(&child, again, environ);
	CHECK(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGSEGV &&
			strstr(child.text, "hakmem: use after free: write at") == child.text,
		"%s", child_what(&child));
	again[1] = (char *)"later";
	child_exec(&child, again, environ);
	CHECK(child_exited(&child, 0), "installed later: %s", child_what(&child));
	return 0;
}
