/*
 * lib_deepbind.c: a library loaded with RTLD_DEEPBIND: its malloc is glibc's, whatever is
 * preloaded. What it returns is freed by the program.
 */
#define EXPORT __attribute__((visibility("default")))

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

EXPORT void *deep_malloc(size_t size);
EXPORT char *deep_strdup(const char *text);
EXPORT void deep_free(void *block);
EXPORT const char *deep_file(void);

void *deep_malloc(size_t size)
{
	return malloc(size);
}

char *deep_strdup(const char *text)
{
	return strdup(text);
}

void deep_free(void *block)
{
	free(block);
}

/* The file that this library's malloc comes from. */
const char *deep_file(void)
{
	Dl_info info;
	void *(*function)(size_t) = malloc;

	return dladdr(*(void **)&function, &info) ? info.dli_fname : "nowhere";
}
