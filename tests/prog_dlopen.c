/*
 * prog_dlopen.c: loads libraries late.
 *
 *   prog_dlopen tls DIR COUNT         copies DIR/1.so... with thread-local storage, used by threads
 *                                     that run already and by new ones
 *   prog_dlopen library LIB [FIRST]   loads the allocator itself (after the library FIRST), uses
 *                                     its hak_* calls in threads and closes it again
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void *use_function(int value);
enum { COPIES_MAX = 200, THREADS = 4 };

static use_function *use[COPIES_MAX];
static int copies;
static pthread_barrier_t barrier;
static void *(*hak_malloc_found)(size_t);
static void (*hak_free_found)(void *);

static void stop(const char *what, const char *why)
{
	fprintf(stderr, "prog_dlopen: %s: %s\n", what, why ? why : "failed");
	exit(1);
}

static void *use_all(void *early)
{
	if (early) {
		free(malloc(100));
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
	}
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < copies; i++) {
			if (!use[i](i + round))
				stop("tls_use", "no memory");
			free(malloc((size_t)i * 300));
		}
	}
	return NULL;
}

static void load_copies(const char *directory, int count)
{
	char path[4096];

	for (copies = 0; copies < count; copies++) {
		snprintf(path, sizeof path, "%s/%d.so", directory, copies + 1);
		void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

		if (!library)
			stop(path, dlerror());
		*(void **)&use[copies] = dlsym(library, "tls_use");
		if (!use[copies])
			stop(path, dlerror());
	}
}

static void run_tls(const char *directory, int count)
{
	pthread_t early[THREADS], late[THREADS];

	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&early[i], NULL, use_all, use) != 0)
			stop("pthread_create", NULL);
	pthread_barrier_wait(&barrier);
	load_copies(directory, count);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&late[i], NULL, use_all, NULL) != 0)
			stop("pthread_create", NULL);
	use_all(NULL);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(early[i], NULL);
		pthread_join(late[i], NULL);
	}
}

static void *use_hak(void *argument)
{
	void *block[100];

	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < 100; i++) {
			size_t bytes = i * i * 30 + (uintptr_t)argument;

			block[i] = hak_malloc_found(bytes);
			if (!block[i] || (uintptr_t)block[i] % 16)
				stop("hak_malloc", "no block");
			memset(block[i], 1, bytes);
		}
		for (size_t i = 0; i < 100; i++)
			hak_free_found(block[i]);
	}
	if (argument) {
		/* The library is closed meanwhile; this thread's end must still work. */
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static void run_library(const char *path, const char *first)
{
	pthread_t thread[THREADS];

	if (first && !dlopen(first, RTLD_NOW | RTLD_LOCAL))
		stop(first, dlerror());
	void *before = malloc(1000), *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		stop(path, dlerror());
	*(void **)&hak_malloc_found = dlsym(library, "hak_malloc");
	*(void **)&hak_free_found = dlsym(library, "hak_free");
	if (!hak_malloc_found || !hak_free_found)
		stop(path, "has no hak_malloc or hak_free");
	/* The program's own malloc stays what it was. */
	free(before);
	free(malloc(5000));
	use_hak(NULL);
	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, use_hak, (void *)(i + 1)) != 0)
			stop("pthread_create", NULL);
	pthread_barrier_wait(&barrier);
	dlclose(library);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "tls") == 0 && atoi(argv[3]) > 0 &&
		atoi(argv[3]) <= COPIES_MAX) {
		run_tls(argv[2], atoi(argv[3]));
	} else if ((argc == 3 || argc == 4) && strcmp(argv[1], "library") == 0) {
		run_library(argv[2], argv[3]);
	} else {
		fprintf(stderr, "usage: prog_dlopen tls DIR COUNT | library LIB [FIRST]\n");
		return 2;
	}
	puts("ok");
	return 0;
}
