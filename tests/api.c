/*
 * api.c: the proof that the preload won, and calls found by name (see api.h).
 */
#include "api.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *symbol_file(const char *symbol)
{
	Dl_info info;
	void *address = dlsym(RTLD_DEFAULT, symbol);

	return address && dladdr(address, &info) ? info.dli_fname : NULL;
}

#if !TEST_FORM_HAK

static bool is_mapped(const char *path)
{
	char line[PATH_MAX + 256];
	bool found = false;
	FILE *maps = fopen("/proc/self/maps", "r");

	if (!maps)
		return false;
	while (!found && fgets(line, sizeof line, maps)) {
		char *file = strchr(line, '/');

		found = file && strcspn(file, "\n") == strlen(path) &&
			strncmp(file, path, strlen(path)) == 0;
	}
	fclose(maps);
	return found;
}

static bool same_file(const char *one, const char *other)
{
	char a[PATH_MAX], b[PATH_MAX];

	return realpath(one, a) && realpath(other, b) && strcmp(a, b) == 0;
}

void api_begin(void)
{
	static const char *const symbols[] = {"malloc", "free", "realloc"};
	const char *wanted = getenv("HAK_TEST_PRELOAD");
	char path[PATH_MAX];

	CHECK(wanted, "HAK_TEST_PRELOAD does not name the library under test");
	CHECK(realpath(wanted, path), "HAK_TEST_PRELOAD=%s: %s", wanted, strerror(errno));
	CHECK(is_mapped(path), "%s is not in /proc/self/maps", path);
	for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
		const char *file = symbol_file(symbols[i]);

		CHECK(file && same_file(file, path), "%s comes from %s, not from %s", symbols[i],
			file ? file : "nowhere", path);
	}
}

void a_free_sized(void *block, size_t size)
{
	void (*function)(void *, size_t);

	*(void **)&function = dlsym(RTLD_DEFAULT, "free_sized");
	CHECK(function, "no such symbol");
	function(block, size);
}

void a_free_aligned_sized(void *block, size_t alignment, size_t size)
{
	void (*function)(void *, size_t, size_t);

	*(void **)&function = dlsym(RTLD_DEFAULT, "free_aligned_sized");
	CHECK(function, "no such symbol");
	function(block, alignment, size);
}

#endif
