/*
 * The library stands between the program's signal handlers and the kernel. What a program can see
 * of sigaction and signal is as without it, and a handler that never returns costs no heap.
 */
#include "api.h"

#include "hakmem.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

typedef void handler(int);
typedef void action(int, siginfo_t *, void *);

static volatile sig_atomic_t calls, last;
static void *volatile seen_context;
static siginfo_t *volatile seen_info;

static void count(int sig)
{
	calls = calls + 1;
	last = sig;
}

static void count_too(int sig)
{
	count(sig);
}

static void with_info(int sig, siginfo_t *info, void *context)
{
	count(sig);
	seen_info = info;
	seen_context = context;
	CHECK(info->si_signo == sig && info->si_pid == getpid(), "siginfo of signal %d",
		info->si_signo);
}

static void raised(int sig)
{
	int before = calls;

	raise(sig);
	CHECK(calls == before + 1 && last == sig, "signal %d was not handled", sig);
}

static struct sigaction current(int sig)
{
	struct sigaction now;

	CHECK(sigaction(sig, NULL, &now) == 0, "sigaction: %s", strerror(errno));
	return now;
}

static void test_sigaction(void)
{
	struct sigaction a = {.sa_handler = count, .sa_flags = SA_RESTART | SA_NODEFER}, old;
	struct sigaction *volatile same = &a;

	sigaddset(&a.sa_mask, SIGHUP);
	CHECK(current(SIGUSR1).sa_handler == SIG_DFL, "not the default at first");
	CHECK(sigaction(SIGUSR1, &a, &old) == 0 && old.sa_handler == SIG_DFL, "first");
	raised(SIGUSR1);
	old = current(SIGUSR1);
	CHECK(old.sa_handler == count && (old.sa_flags & ~0x04000000) == a.sa_flags &&
			sigismember(&old.sa_mask, SIGHUP) == 1 &&
			sigismember(&old.sa_mask, SIGINT) == 0,
		"handler, flags %#x or mask differ", (unsigned)old.sa_flags);
	/* One structure for both, and the handler with its information. */
	a = (struct sigaction){.sa_sigaction = with_info, .sa_flags = SA_SIGINFO | SA_RESETHAND};
	CHECK(sigaction(SIGUSR1, &a, same) == 0 && a.sa_handler == count, "in place");
	raised(SIGUSR1);
	CHECK(seen_context && seen_info, "no context");
	CHECK(current(SIGUSR1).sa_handler == SIG_DFL, "SA_RESETHAND");
	CHECK(sigaction(SIGKILL, &a, NULL) == -1 && errno == EINVAL, "SIGKILL");
	a.sa_handler = SIG_IGN;
	a.sa_flags = 0;
	CHECK(sigaction(SIGUSR1, &a, NULL) == 0, "ignored");
	raise(SIGUSR1);
	CHECK(current(SIGUSR1).sa_handler == SIG_IGN, "not ignored");
}

static void test_signal(void)
{
	int (*interrupt)(int, int) = (int (*)(int, int))dlsym(RTLD_DEFAULT, "siginterrupt");
	handler *(*bsd)(int, handler *) =
		(handler * (*)(int, handler *)) dlsym(RTLD_DEFAULT, "bsd_signal");
	handler *(*sysv)(int, handler *) =
		(handler * (*)(int, handler *)) dlsym(RTLD_DEFAULT, "__sysv_signal");

	CHECK(signal(SIGUSR2, count) == SIG_DFL, "signal: the first");
	CHECK((current(SIGUSR2).sa_flags & SA_RESTART), "signal does not restart calls");
	raised(SIGUSR2);
	CHECK(signal(SIGUSR2, count_too) == count, "signal: the one before");
	CHECK(interrupt(SIGUSR2, 1) == 0, "siginterrupt");
	CHECK(current(SIGUSR2).sa_handler == count_too && !(current(SIGUSR2).sa_flags & SA_RESTART),
		"siginterrupt changes one flag");
	raised(SIGUSR2);
	CHECK(bsd(SIGUSR2, count) == count_too, "bsd_signal");
	CHECK(sysv(SIGUSR2, count_too) == count, "sysv_signal");
	raised(SIGUSR2);
	CHECK(current(SIGUSR2).sa_handler == SIG_DFL, "sysv_signal is for one time");
	CHECK(signal(SIGUSR2, SIG_IGN) == SIG_DFL && signal(SIGUSR2, SIG_DFL) == SIG_IGN,
		"ignored");
	errno = 0;
	CHECK(signal(SIGKILL, count) == SIG_ERR && errno == EINVAL, "SIGKILL");
}

/* Code that looks at the kernel's table itself, and calls what it finds with one argument. */
static void test_chained(void)
{
	struct {
		handler *function;
		unsigned long rest[3];
	} found;
	int before = calls;

	signal(SIGUSR2, count);
	CHECK(syscall(SYS_rt_sigaction, SIGUSR2, NULL, &found, 8) == 0, "rt_sigaction");
	((action *)(void (*)(void))found.function)(SIGUSR2, NULL, (void *)16);
	CHECK(calls == before + 1, "what the kernel would call cannot be called");
	signal(SIGUSR2, SIG_DFL);
}

static void in_child(void *unused)
{
	(void)unused;
	CHECK(current(SIGUSR1).sa_handler == count, "the handler is gone in a child");
	raised(SIGUSR1);
	signal(SIGUSR1, SIG_DFL);
}

static void test_children(void)
{
	struct child child;

	signal(SIGUSR1, count);
	child_run(&child, in_child, NULL);
	CHECK(child_exited(&child, 0), "%s", child_what(&child));
	CHECK(current(SIGUSR1).sa_handler == count, "a child changed the parent's handler");
	/* A vfork child has the parent's memory, and handlers of its own. */
	pid_t pid = vfork();
	if (pid == 0) {
		signal(SIGUSR1, count_too);
		_exit(current(SIGUSR1).sa_handler == count_too ? 0 : 1);
	}
	int status = -1;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0, "vfork: status %#x",
		(unsigned)status);
	CHECK(current(SIGUSR1).sa_handler == count, "vfork: the parent's handler");
	raised(SIGUSR1);
}

/* More than the library has entries for: all of them work, and are known by their names. */
static void test_many(void)
{
	static unsigned char code[200][16] __attribute__((aligned(4096)));
	handler *made[200];

	for (int i = 0; i < 200; i++) {
		/* mov $count, %rax; jmp *%rax */
		unsigned char *p = code[i];
		uint64_t address = (uintptr_t)count;

		memcpy(p, (unsigned char[]){0x48, 0xb8}, 2);
		memcpy(p + 2, &address, 8);
		memcpy(p + 10, (unsigned char[]){0xff, 0xe0}, 2);
		made[i] = (handler *)(uintptr_t)p;
	}

	CHECK(mprotect(code, sizeof code, PROT_READ | PROT_WRITE | PROT_EXEC) == 0, "mprotect");
	for (int i = 0; i < 200; i++) {
		signal(SIGUSR1, made[i]);
		CHECK(current(SIGUSR1).sa_handler == made[i], "handler %d is not known", i);
		raised(SIGUSR1);
	}
	for (int i = 0; i < 200; i++)
		signal(SIGUSR1, made[i]);
	signal(SIGUSR1, SIG_DFL);
}

static sigjmp_buf back;

static void jump(int sig)
{
	(void)sig;
	siglongjmp(back, 1);
}

static void leave(int sig)
{
	(void)sig;
	pthread_exit(NULL);
}

static void *end_in_handler(void *unused)
{
	a_free(a_malloc(100));
	raise(SIGUSR2);
	return unused;
}

static struct hak_stats stats(void)
{
	void (*get)(struct hak_stats *, size_t) =
		(void (*)(struct hak_stats *, size_t))dlsym(RTLD_DEFAULT, "hak_stats");
	struct hak_stats s;

	CHECK(get, "hak_stats is not there");
	get(&s, sizeof s);
	return s;
}

/* A heap that was taken away and not given back would be borrowed for, call by call. */
static void test_no_return(void)
{
	uint64_t released;
	pthread_t thread;

	signal(SIGUSR1, jump);
	signal(SIGUSR2, leave);
	for (volatile int i = 0; i < 50; i = i + 1)
		if (sigsetjmp(back, 1) == 0)
			raise(SIGUSR1);
	a_free(a_malloc(5000));
	released = stats().pages_released;
	for (int i = 0; i < 1000; i++)
		a_free(a_malloc(5000));
	CHECK(stats().pages_released <= released + 10, "%llu pages let go",
		(unsigned long long)(stats().pages_released - released));
	for (int i = 0; i < 50; i++) {
		CHECK(pthread_create(&thread, NULL, end_in_handler, NULL) == 0, "pthread_create");
		pthread_join(thread, NULL);
	}
	CHECK(stats().heaps_live <= 3, "%llu heaps are in use, of one thread",
		(unsigned long long)stats().heaps_live);
}

int main(void)
{
	api_begin();
	test_sigaction();
	test_signal();
	test_chained();
	test_children();
	test_no_return();
	test_many(); /* last: no entry is left */
	return 0;
}
