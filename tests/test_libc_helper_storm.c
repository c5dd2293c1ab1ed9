/*
 * The helper thread at its busiest (a tick of 10 ms) beside what a process may do at any moment:
 * end, exec, fork from several threads, load and unload libraries, take signals, change its user.
 */
#include "api.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 3, ENDS = 24, FORKS = 10, LOADS = 60, KEPT = 2000 };

extern char **environ;
static atomic_bool x_stop;

static void pause_us(long us)
{
	struct timespec t = {0, us * 1000};

	nanosleep(&t, NULL);
}

/* Small, middle and big blocks; survivors are checked, so that nothing of theirs is purged. */
static void churn(uint64_t seed, int steps)
{
	static __thread struct {
		char *p;
		size_t bytes, seed;
	} kept[KEPT];

	for (int n = 0; n < steps; n++) {
		uint64_t draw = rng_next(&seed);
		size_t i = draw % KEPT, kind = draw >> 20 & 63;
		size_t bytes = kind ? draw >> 30 & 1023 : draw >> 30 & 0x3fffff;

		if (kept[i].p && !pattern_ok(kept[i].p, kept[i].bytes, kept[i].seed)) {
			fprintf(stderr, "a block of %zu bytes changed\n", kept[i].bytes);
			_exit(3);
		}
		free(kept[i].p);
		kept[i].p = n < steps - 2 * KEPT && draw >> 60 ? malloc(bytes) : NULL;
		kept[i].bytes = bytes;
		kept[i].seed = draw;
		if (kept[i].p)
			pattern_fill(kept[i].p, bytes, draw);
	}
	for (int i = 0; i < KEPT; i++) {
		free(kept[i].p);
		kept[i].p = NULL;
	}
}

static void *work(void *seed)
{
	uint64_t state = (uintptr_t)seed;

	while (!atomic_load(&x_stop)) {
		churn(rng_next(&state), 10000);
		pause_us(3000);
	}
	return NULL;
}

static void start(pthread_t *thread)
{
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&thread[i], NULL, work, (void *)i) == 0, "pthread_create");
}

static void stop(pthread_t *thread)
{
	atomic_store(&x_stop, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	atomic_store(&x_stop, false);
}

static void expect_status(const char *what, pid_t pid)
{
	int status = -1;

	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "%s: status %#x", what,
		(unsigned)status);
}

/* Ends, or becomes another program, while the helper and the threads are at work. */
static void end_somehow(int n, char *self)
{
	char *argv[] = {self, (char[]){"nothing"}, NULL};
	pthread_t thread[THREADS];

	start(thread);
	churn((uint64_t)n, 5000);
	pause_us(n * 997 % 30000);
	switch (n % 3) {
	case 0:
		exit(0);
	case 1:
		_exit(0);
	default:
		execve("/proc/self/exe", argv, environ);
		_exit(1);
	}
}

static void check_ends(char *self)
{
	for (int n = 0; n < ENDS; n += 2) {
		pid_t pid[2];

		for (int i = 0; i < 2; i++) {
			pid[i] = fork();
			if (pid[i] == 0)
				end_somehow(n + i, self);
		}
		for (int i = 0; i < 2; i++)
			expect_status("a process that ends", pid[i]);
	}
}

static void *nothing(void *unused)
{
	return unused;
}

/* The child has what the parent had, one thread, and soon a helper of its own. */
static void forked(uint64_t seed)
{
	size_t before;
	pthread_t thread;
	char *big = malloc(20 * MIB);

	if (count_tasks() != 1)
		_exit(4);
	churn(seed, 8000);
	memset(big, 1, 20 * MIB);
	if (pthread_create(&thread, NULL, nothing, NULL) != 0)
		_exit(5);
	pthread_join(thread, NULL);
	before = resident_bytes();
	free(big);
	for (int i = 0; i < 400 && resident_bytes() > before - 19 * MIB; i++)
		pause_us(10000);
	_exit(resident_bytes() > before - 19 * MIB ? 6 : 0);
}

static void *fork_often(void *argument)
{
	uint64_t seed = (uintptr_t)argument;

	for (int n = 0; n < FORKS; n++) {
		pid_t pid = fork();

		if (pid == 0)
			forked(seed + (uint64_t)n);
		expect_status("a forked child", pid);
	}
	return NULL;
}

static void check_forks(void)
{
	pthread_t thread[THREADS], other;

	start(thread);
	CHECK(pthread_create(&other, NULL, fork_often, (void *)100) == 0, "pthread_create");
	fork_often((void *)0);
	pthread_join(other, NULL);
	stop(thread);
}

static void check_libraries(void)
{
	const char *files = getenv("HAK_TEST_FILES");
	pthread_t thread[THREADS];
	char path[512];

	if (!files)
		return;
	snprintf(path, sizeof path, "%s/lib/lib_tls.so", files);
	start(thread);
	for (int n = 0; n < LOADS; n++) {
		void *library = dlopen(path, RTLD_NOW);

		CHECK(library, "%s", dlerror());
		churn((uint64_t)n, 2000);
		dlclose(library);
	}
	stop(thread);
}

static atomic_int x_signals, x_by_helper;
static _Thread_local int mine; /* set in threads of the program */

static void on_signal(int number)
{
	(void)number;
	atomic_fetch_add(&x_signals, 1);
	if (!mine)
		atomic_fetch_add(&x_by_helper, 1);
}

/* Every thread of the program blocks the signal now and then; the helper never takes it. */
static void check_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	struct itimerval timer = {{0, 500}, {0, 500}}, off = {{0, 0}, {0, 0}};
	pthread_t thread;
	sigset_t set;

	mine = 1;
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	CHECK(sigaction(SIGALRM, &action, NULL) == 0, "sigaction");
	CHECK(pthread_create(&thread, NULL, nothing, NULL) == 0, "pthread_create");
	pthread_join(thread, NULL);
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0, "setitimer");
	for (int n = 0; n < 100; n++) {
		pthread_sigmask(n % 2 ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL);
		churn((uint64_t)n, 4500);
		pause_us(2000);
	}
	setitimer(ITIMER_REAL, &off, NULL);
	CHECK(x_signals > 20, "%d signals", x_signals);
	CHECK(x_by_helper == 0, "%d of %d signals were taken by the helper", x_by_helper,
		x_signals);
}

/* The C library tells every thread; the helper must obey. */
static void check_user(void)
{
	pthread_t thread[THREADS];
	struct dirent *entry;
	int seen = 0;
	DIR *dir;

	start(thread);
	CHECK(setresgid(65534, 65534, 65534) == 0, "setresgid: %s", strerror(errno));
	CHECK(setresuid(65534, 65534, 65534) == 0, "setresuid: %s", strerror(errno));
	dir = opendir("/proc/self/task");
	CHECK(dir, "/proc/self/task: %s", strerror(errno));
	while ((entry = readdir(dir))) {
		char path[300], line[256];
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
		file = fopen(path, "r");
		CHECK(file, "%s: %s", path, strerror(errno));
		while (fgets(line, sizeof line, file))
			CHECK(strncmp(line, "Uid:", 4) != 0 ||
					strcmp(line, "Uid:\t65534\t65534\t65534\t65534\n") == 0,
				"thread %s has %s", entry->d_name, line);
		fclose(file);
		seen++;
	}
	closedir(dir);
	CHECK(seen == THREADS + 2, "%d threads, not %d", seen, THREADS + 2);
	stop(thread);
}

static void run_mode(const char *self, const char *mode)
{
	struct child child;
	char *argv[] = {(char *)self, (char *)mode, NULL};

	child_exec(&child, argv, environ);
	CHECK(child_exited(&child, 0) && child.bytes == 0, "%s: %s", mode, child_what(&child));
}

int main(int argc, char **argv)
{
	static const char *const modes[] = {"ends", "forks", "libraries", "signals", "user"};

	api_begin();
	if (argc == 1) {
		setenv("HAKMEM_PURGE_DELAY_MS", "10", 1);
		for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
			if (getuid() == 0 || strcmp(modes[i], "user") != 0)
				run_mode(argv[0], modes[i]);
		return 0;
	}
	if (strcmp(argv[1], "ends") == 0)
		check_ends(argv[0]);
	else if (strcmp(argv[1], "forks") == 0)
		check_forks();
	else if (strcmp(argv[1], "libraries") == 0)
		check_libraries();
	else if (strcmp(argv[1], "signals") == 0)
		check_signals();
	else if (strcmp(argv[1], "user") == 0)
		check_user();
	return 0;
}
