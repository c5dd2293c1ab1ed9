/*
 * prog_work.c: an ordinary program for scripts that start it in unusual surroundings: proves whose
 * malloc it has, allocates of every size, in threads and in a forked child, and says "ok".
 *
 *   prog_work NAME [nofork]    NAME must occur in the path of the library that malloc comes from
 *   prog_work -                any malloc
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

static uintptr_t alignment = 1; /* what every block must have */

static void work(unsigned seed)
{
	char *keep[64] = {0};

	for (unsigned i = 0; i < 4000; i++) {
		size_t bytes = (i * 2654435761u + seed) % (i % 100 ? 3000 : 3000000) + 1;
		char *block = i % 3 ? malloc(bytes) : calloc(1, bytes);

		if (!block || (uintptr_t)block % alignment) {
			fprintf(stderr, "prog_work: no block of %zu bytes\n", bytes);
			exit(1);
		}
		block[0] = block[bytes - 1] = 1;
		free(keep[i % 64]);
		keep[i % 64] = block;
	}
	for (int i = 0; i < 64; i++)
		free(keep[i]);
}

static void *thread_body(void *seed)
{
	work((unsigned)(uintptr_t)seed);
	return NULL;
}

static void check_library(const char *name)
{
	Dl_info info = {0};
	void *(*function)(size_t) = malloc;

	if (strcmp(name, "-") == 0)
		return;
	if (!dladdr(*(void **)&function, &info) || !strstr(info.dli_fname, name)) {
		fprintf(stderr, "prog_work: malloc comes from %s, not from %s\n",
			info.dli_fname ? info.dli_fname : "nowhere", name);
		exit(1);
	}
}

static int fork_works(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		work(2);
		_exit(0);
	}
	if (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0)
		return 1;
	fprintf(stderr, "prog_work: the child ended with status %#x\n", (unsigned)status);
	return 0;
}

int main(int argc, char **argv)
{
	pthread_t thread[4];

	if (argc != 2 && (argc != 3 || strcmp(argv[2], "nofork") != 0)) {
		fprintf(stderr, "usage: prog_work NAME [nofork]\n");
		return 2;
	}
	check_library(argv[1]);
	/* Others that are preloaded for comparison promise less. */
	if (strstr(argv[1], "hakmem"))
		alignment = 16;
	work(1);
	for (uintptr_t i = 0; i < 4; i++) {
		if (pthread_create(&thread[i], NULL, thread_body, (void *)i) != 0) {
			fprintf(stderr, "prog_work: no thread\n");
			return 1;
		}
	}
	if (argc == 2 && !fork_works())
		return 1;
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	printf("ok%s\n", getauxval(AT_SECURE) ? " secure" : "");
	return 0;
}
