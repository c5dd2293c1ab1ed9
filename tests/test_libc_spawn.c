/*
 * vfork, posix_spawn, system and popen out of a program whose threads allocate all the time.
 */
#include "api.h"

#include <errno.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 3, ROUNDS = 25 };

extern char **environ;
static atomic_bool x_stop;

static void *busy(void *argument)
{
	uint64_t seed = (uintptr_t)argument;
	void *keep[32] = {0};

	while (!atomic_load(&x_stop)) {
		uint64_t draw = rng_next(&seed);

		free(keep[draw % 32]);
		keep[draw % 32] = malloc(draw % 20000);
	}
	for (int i = 0; i < 32; i++)
		free(keep[i]);
	return NULL;
}

static void expect_status(const char *what, pid_t pid, int code)
{
	int status = -1;

	CHECK(pid > 0, "%s: %s", what, strerror(errno));
	CHECK(waitpid(pid, &status, 0) == pid, "waitpid: %s", strerror(errno));
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == code, "%s: status %#x", what,
		(unsigned)status);
}

static void check_vfork(void)
{
	char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char[]){"exit 7"}, NULL};
	/* The child shares our memory until it execs, so what it allocates is the parent's. */
	static void *volatile block;
	pid_t pid = vfork();

	if (pid == 0) {
		block = malloc(12345);
		execv("/bin/sh", argv);
		_exit(1);
	}
	expect_status("vfork", pid, 7);
	CHECK(block && malloc_usable_size(block) >= 12345, "the block of the vfork child");
	free(block);
}

static void check_spawn(void)
{
	char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char[]){"exit 9"}, NULL};
	pid_t pid = -1;

	CHECK(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ) == 0, "posix_spawn");
	expect_status("posix_spawn", pid, 9);
	CHECK(posix_spawnp(&pid, "no-such-program", NULL, NULL, argv, environ) == ENOENT,
		"posix_spawnp of nothing");
}

static void check_shell(void)
{
	char line[64] = "";
	int status = system("exit 5");
	FILE *pipe = popen("echo hello", "r");

	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5, "system: %#x", (unsigned)status);
	CHECK(pipe && fgets(line, sizeof line, pipe), "popen: %s", strerror(errno));
	CHECK(strcmp(line, "hello\n") == 0, "popen read %s", line);
	CHECK(pclose(pipe) == 0, "pclose: %s", strerror(errno));
}

int main(void)
{
	pthread_t thread[THREADS];

	api_begin();
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&thread[i], NULL, busy, (void *)i) == 0, "pthread_create");
	for (int i = 0; i < ROUNDS; i++) {
		check_vfork();
		check_spawn();
		check_shell();
	}
	atomic_store(&x_stop, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	return 0;
}
