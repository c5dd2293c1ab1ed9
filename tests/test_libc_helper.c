/*
 * The helper thread: there is none in a process with one thread, and exactly one, named "hakmem",
 * deaf to all signals, from the first pthread_create or thrd_create on; a forked child gets its
 * own; it does not wake when nothing is idle, and it keeps no process alive.
 */
#include "api.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

/* With a delay of 100 ms all is purged in the first of these; ten ticks and more are the second. */
enum { PURGE_MS = 800, QUIET_MS = 1500 };

/* What no thread can block: SIGKILL and SIGSTOP, and the two that the C library needs itself. */
#define BLOCKED_ALL (~(1ull << 8 | 1ull << 18 | 1ull << 31 | 1ull << 32))

struct tasks {
	int count, helpers, helper; /* all threads, those of that name, the last one's id */
};

extern char **environ;

static void pause_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	while (nanosleep(&t, &t) != 0)
		;
}

static void read_task(int id, const char *file, char *text, size_t bytes)
{
	char path[64];
	int fd;
	ssize_t n = -1;

	snprintf(path, sizeof path, "/proc/self/task/%d/%s", id, file);
	fd = open(path, O_RDONLY);
	if (fd >= 0) {
		n = read(fd, text, bytes - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = 0;
}

static struct tasks tasks_now(void)
{
	struct tasks tasks = {0};
	struct dirent *entry;
	DIR *dir = opendir("/proc/self/task");
	char name[32];

	CHECK(dir, "/proc/self/task: %s", strerror(errno));
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		tasks.count++;
		read_task(atoi(entry->d_name), "comm", name, sizeof name);
		if (strcmp(name, "hakmem\n") == 0) {
			tasks.helpers++;
			tasks.helper = atoi(entry->d_name);
		}
	}
	closedir(dir);
	return tasks;
}

/* A thread gives itself its name a moment after it was made. */
static int expect_tasks(const char *when, int count, int helpers)
{
	struct tasks tasks = {0};

	for (int i = 0; i < 200; i++) {
		tasks = tasks_now();
		if (tasks.count == count && tasks.helpers == helpers)
			return tasks.helper;
		pause_ms(10);
	}
	CHECK(0, "%s: %d threads, of which %d are named hakmem; not %d and %d", when, tasks.count,
		tasks.helpers, count, helpers);
	return 0;
}

static uint64_t status_field(int id, const char *field, int base)
{
	char text[4096];
	const char *at;

	read_task(id, "status", text, sizeof text);
	at = strstr(text, field);
	CHECK(at, "thread %d has no %s", id, field);
	return strtoull(at + strlen(field), NULL, base);
}

static pthread_barrier_t barrier;

static void *stay(void *unused)
{
	pthread_barrier_wait(&barrier);
	return unused;
}

static int stay_c11(void *unused)
{
	stay(unused);
	return 0;
}

static void start_threads(pthread_t *thread, int count)
{
	pthread_barrier_init(&barrier, NULL, (unsigned)count + 1);
	for (int i = 0; i < count; i++)
		CHECK(pthread_create(&thread[i], NULL, stay, NULL) == 0, "pthread_create");
}

static void end_threads(pthread_t *thread, int count)
{
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < count; i++)
		pthread_join(thread[i], NULL);
}

/* Makes memory of all kinds idle. */
static void make_idle(void)
{
	static void *block[3000];

	for (size_t i = 0; i < 3000; i++) {
		size_t bytes = i % 500 == 0 ? 3 * MIB : i % 20 == 0 ? 100 * KIB : 700;

		block[i] = malloc(bytes);
		CHECK(block[i], "malloc(%zu)", bytes);
		memset(block[i], 1, bytes);
	}
	for (size_t i = 0; i < 3000; i++)
		free(block[i]);
}

static void check_single(void *unused)
{
	(void)unused;
	expect_tasks("at start", 1, 0);
	make_idle();
	pause_ms(50);
	expect_tasks("one thread that allocates", 1, 0);
}

static void check_threads(void *unused)
{
	pthread_t thread[8];
	sigset_t set, after;
	int helper;

	(void)unused;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	errno = EXDEV;
	start_threads(thread, 1);
	CHECK(errno == EXDEV, "pthread_create sets errno to %d", errno);
	helper = expect_tasks("one pthread_create", 3, 1);
	CHECK((status_field(helper, "SigBlk:\t", 16) & BLOCKED_ALL) == BLOCKED_ALL,
		"the helper blocks %#llx only",
		(unsigned long long)status_field(helper, "SigBlk:\t", 16));
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int i = 1; i < 32; i++)
		CHECK(sigismember(&after, i) == (i == SIGUSR2),
			"pthread_create changed what its caller blocks: signal %d", i);
	end_threads(thread, 1);
	CHECK(expect_tasks("its thread has ended", 2, 1) == helper, "another helper");
	start_threads(thread, 8);
	CHECK(expect_tasks("eight more", 10, 1) == helper, "another helper");
	end_threads(thread, 8);
}

static void check_c11(void *unused)
{
	thrd_t thread;

	(void)unused;
	pthread_barrier_init(&barrier, NULL, 2);
	CHECK(thrd_create(&thread, stay_c11, NULL) == thrd_success, "thrd_create");
	expect_tasks("one thrd_create", 3, 1);
	pthread_barrier_wait(&barrier);
	CHECK(thrd_join(thread, NULL) == thrd_success, "thrd_join");
}

/* A thread that cannot be made is no reason for a helper. */
static void check_failed_create(void *unused)
{
	pthread_attr_t attributes;
	pthread_t thread;

	(void)unused;
	pthread_attr_init(&attributes);
	CHECK(pthread_attr_setstacksize(&attributes, 1ull << 50) == 0, "setstacksize");
	CHECK(pthread_create(&thread, &attributes, stay, NULL) != 0, "a stack of 2^50 bytes");
	expect_tasks("pthread_create failed", 1, 0);
}

static void check_off(void)
{
	pthread_t thread;

	start_threads(&thread, 1);
	pause_ms(50);
	expect_tasks("HAKMEM_HELPER=0", 2, 0);
	end_threads(&thread, 1);
	make_idle();
	expect_tasks("HAKMEM_HELPER=0", 1, 0);
}

static void wait_for_child(const char *what, pid_t pid)
{
	int status = -1;

	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0,
		"%s: the child ended with status %#x", what, (unsigned)status);
}

/* Each generation is forked while its parent's helper has something to do. */
static void check_forks(void *depth)
{
	unsigned left = *(const unsigned *)depth;
	pthread_t thread;
	pid_t pid;

	expect_tasks("in a forked child", 1, 0);
	make_idle();
	expect_tasks("in a forked child that allocates", 1, 0);
	start_threads(&thread, 1);
	expect_tasks("in a forked child, one pthread_create", 3, 1);
	make_idle();
	if (left > 0) {
		pid = fork();
		if (pid == 0) {
			left--;
			check_forks(&left);
			_exit(0);
		}
		wait_for_child("a forked child", pid);
	}
	end_threads(&thread, 1);
}

static uint64_t switches(int id)
{
	return status_field(id, "\nvoluntary_ctxt_switches:\t", 10) +
	       status_field(id, "\nnonvoluntary_ctxt_switches:\t", 10);
}

/* When all is purged it sleeps, until there is something again. */
static void check_quiet(void)
{
	pthread_t thread;
	uint64_t before, after;
	int helper;

	start_threads(&thread, 1);
	helper = expect_tasks("one pthread_create", 3, 1);
	for (int round = 0; round < 2; round++) {
		make_idle();
		before = switches(helper);
		pause_ms(PURGE_MS);
		after = switches(helper);
		CHECK(after > before, "memory is idle, and the helper never woke");
		pause_ms(QUIET_MS);
		CHECK(switches(helper) == after, "nothing is idle, and the helper woke %llu times",
			(unsigned long long)(switches(helper) - after));
	}
	end_threads(&thread, 1);
}

static void *outlive(void *unused)
{
	pause_ms(100);
	free(malloc(100000));
	return unused;
}

static int exit_pipe[2];

static void say_at_exit(void)
{
	CHECK(write(exit_pipe[1], "e", 1) == 1, "write");
}

/* Main ends by pthread_exit: the process ends with its last thread, atexit functions and all. */
static void check_main_ends(void *unused)
{
	pthread_t thread;

	(void)unused;
	atexit(say_at_exit);
	CHECK(pthread_create(&thread, NULL, outlive, NULL) == 0, "pthread_create");
	pthread_detach(thread);
	make_idle();
	pthread_exit(NULL);
}

static void *end_soon(void *unused)
{
	return unused;
}

/* The same when the last threads are made after main has ended. */
static void *make_another(void *unused)
{
	pthread_t thread;

	pause_ms(50);
	CHECK(pthread_create(&thread, NULL, end_soon, NULL) == 0, "pthread_create");
	pthread_detach(thread);
	return unused;
}

static void check_main_ends_early(void *unused)
{
	pthread_t thread;

	(void)unused;
	atexit(say_at_exit);
	CHECK(pthread_create(&thread, NULL, make_another, NULL) == 0, "pthread_create");
	pthread_detach(thread);
	pthread_exit(NULL);
}

/* Not by an alarm: what keeps such a process alive may be deaf to it. */
static void run_to_exit(const char *what, void (*body)(void *))
{
	int status = -1;
	char said[4];
	pid_t pid, ended = 0;

	CHECK(pipe(exit_pipe) == 0, "pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0) {
		body(NULL);
		_exit(1);
	}
	CHECK(pid > 0, "fork: %s", strerror(errno));
	for (int i = 0; i < 1000 && ended == 0; i++) {
		pause_ms(10);
		ended = waitpid(pid, &status, WNOHANG);
	}
	if (ended == 0)
		kill(pid, SIGKILL);
	CHECK(ended == pid && status == 0, "%s: %s, status %#x", what,
		ended ? "the process ended" : "the process does not end", (unsigned)status);
	close(exit_pipe[1]);
	CHECK(read(exit_pipe[0], said, sizeof said) == 1, "%s: atexit functions ran not once",
		what);
	close(exit_pipe[0]);
}

static void run(const char *what, void (*body)(void *), void *argument)
{
	struct child child;

	child_run(&child, body, argument);
	CHECK(child_exited(&child, 0) && child.bytes == 0, "%s: %s", what, child_what(&child));
}

static void run_with(const char *self, const char *mode, const char *option, const char *value)
{
	struct child child;
	char *argv[] = {(char *)self, (char *)mode, NULL};

	setenv(option, value, 1);
	child_exec(&child, argv, environ);
	unsetenv(option);
	CHECK(child_exited(&child, 0), "%s=%s: %s", option, value, child_what(&child));
}

int main(int argc, char **argv)
{
	unsigned forks = 3;

	api_begin();
	if (argc > 1) {
		strcmp(argv[1], "off") == 0 ? check_off() : check_quiet();
		return 0;
	}
	run("one thread", check_single, NULL);
	run("threads", check_threads, NULL);
	run("thrd_create", check_c11, NULL);
	run("a failed pthread_create", check_failed_create, NULL);
	run("forks", check_forks, &forks);
	run_to_exit("main ends first", check_main_ends);
	run_to_exit("main ends, then a thread is made", check_main_ends_early);
	run_with(argv[0], "off", "HAKMEM_HELPER", "0");
	run_with(argv[0], "quiet", "HAKMEM_PURGE_DELAY_MS", "100");
	expect_tasks("at the end", 1, 0);
	return 0;
}
