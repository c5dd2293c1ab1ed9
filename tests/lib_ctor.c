/*
 * lib_ctor.c: a library whose constructors and destructors allocate. A hundred copies of it are
 * preloaded, before and after the allocator.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCKS = 40 };

static char *block[BLOCKS];

static void stop(const char *why)
{
	dprintf(2, "lib_ctor: %s\n", why);
	_exit(3);
}

/* Even earlier than constructors without a priority. */
__attribute__((constructor(101))) static void first(void)
{
	for (int i = 0; i < BLOCKS; i += 2) {
		size_t bytes = (size_t)i * 700 + 1;

		block[i] = i % 4 ? malloc(bytes) : calloc(1, bytes);
		if (!block[i] || (uintptr_t)block[i] % 16)
			stop("no memory in the first constructor");
		memset(block[i], i, bytes);
	}
}

__attribute__((constructor)) static void second(void)
{
	for (int i = 1; i < BLOCKS; i += 2) {
		block[i] = realloc(block[i - 1], (size_t)i * 900);
		if (!block[i] || block[i][0] != i - 1)
			stop("realloc in a constructor lost a byte");
		block[i - 1] = strdup("copy");
	}
	free(block[1]);
	block[1] = NULL;
	if (dlsym(RTLD_DEFAULT, "no_such_symbol"))
		stop("dlsym found what is not there");
	dlerror();
}

__attribute__((destructor)) static void last(void)
{
	for (int i = 0; i < BLOCKS; i += 2) {
		if (strcmp(block[i], "copy") != 0)
			stop("a block was overwritten");
	}
	for (int i = 0; i < BLOCKS; i++)
		free(block[i]);
	free(malloc(10000));
}
