/*
 * fork while stdio is busy: threads write, read lines and allocate without pause; each child uses
 * both at once. Allocators that hold locks over fork deadlock here.
 */
#include "api.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, FORKS = 150 };

static atomic_bool x_stop;

static void print_once(int i)
{
	char *line = NULL, *text;
	size_t room = 0;
	FILE *file = tmpfile();

	CHECK(file, "tmpfile: %s", strerror(errno));
	fprintf(file, "%d %*d\n", i, i % 3000, i);
	rewind(file);
	CHECK(getline(&line, &room, file) > 0, "getline");
	CHECK(asprintf(&text, "%s%s", line, line) > 0, "asprintf");
	free(text);
	free(line);
	fclose(file);
}

static void *busy(void *unused)
{
	for (int i = 0; !atomic_load(&x_stop); i++)
		print_once(i);
	return unused;
}

/* Opens and closes streams all the time: the list of streams is locked around malloc. */
static void *busy_streams(void *unused)
{
	for (int i = 0; !atomic_load(&x_stop); i++) {
		FILE *file = fopen("/dev/null", "w");

		CHECK(file, "/dev/null: %s", strerror(errno));
		fprintf(file, "%d\n", i);
		fflush(NULL);
		fclose(file);
	}
	return unused;
}

int main(void)
{
	pthread_t thread[THREADS];

	api_begin();
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&thread[i], NULL, i % 2 ? busy_streams : busy, NULL) == 0,
			"pthread_create");
	for (int i = 0; i < FORKS; i++) {
		int status = -1;
		pid_t pid = fork();

		CHECK(pid >= 0, "fork: %s", strerror(errno));
		if (pid == 0) {
			alarm(30);
			/* Not fflush(NULL): it would move offsets that are shared with the parent.
			 */
			for (int k = 0; k < 5; k++)
				print_once(k);
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && status == 0,
			"child %d ended with status %#x%s", i, (unsigned)status,
			WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? " (it hung)" : "");
	}
	atomic_store(&x_stop, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	return 0;
}
