/*
 * Foreign pointers: what glibc's own malloc gave, to the loader, to a library under RTLD_DEEPBIND
 * or by its internal name, can be freed, measured and reallocated here.
 */
#include "api.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static void *(*glibc_malloc)(size_t);

static const size_t sizes[] = {1, 16, 24, 100, 1000, 5000, 70000, 140000, 3 << 20};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void check_glibc(void)
{
	for (int round = 0; round < 200; round++) {
		void *block[SIZES];

		for (int i = 0; i < SIZES; i++) {
			block[i] = glibc_malloc(sizes[i]);
			CHECK(block[i], "__libc_malloc(%zu)", sizes[i]);
			pattern_fill(block[i], sizes[i], (uint64_t)i);
			CHECK(malloc_usable_size(block[i]) >= sizes[i],
				"usable %zu of a foreign %zu", malloc_usable_size(block[i]),
				sizes[i]);
		}
		for (int i = 0; i < SIZES; i++) {
			size_t to = sizes[(i + round) % SIZES],
			       least = sizes[i] < to ? sizes[i] : to;

			if (round % 2) {
				block[i] = realloc(block[i], to);
				CHECK(block[i] && pattern_ok(block[i], least, (uint64_t)i),
					"realloc of a foreign block from %zu to %zu", sizes[i], to);
			}
			errno = 33;
			free(block[i]);
			CHECK(errno == 33, "free of a foreign block set errno to %d", errno);
		}
	}
	/* realloc of a foreign block keeps it when it fails. */
	char *kept = glibc_malloc(100);

	pattern_fill(kept, 100, 1);
	errno = 0;
	CHECK(!realloc(kept, opaque(PTRDIFF_MAX)) && errno == ENOMEM, "errno %d", errno);
	CHECK(pattern_ok(kept, 100, 1), "a failed realloc changed a foreign block");
	CHECK(!realloc(kept, opaque(0)), "realloc(foreign, 0) gave a block");
}

/* Foreign blocks are given back, not only swallowed. */
static void check_no_leak(void)
{
	size_t before = 0;

	for (int i = 0; i < 20000; i++) {
		void *block = glibc_malloc(20000);

		memset(block, 1, 20000);
		free(block);
		if (i == 10)
			before = resident_bytes();
	}
	CHECK(resident_bytes() < before + 4 * MIB, "freed foreign blocks take %zu KiB",
		(resident_bytes() - before) / KIB);
}

static void check_deepbind(void)
{
	char path[4096];
	void *(*deep_malloc)(size_t);
	char *(*deep_strdup)(const char *);
	const char *(*deep_file)(void);

	snprintf(path, sizeof path, "%s/lib/lib_deepbind.so", getenv("HAK_TEST_FILES"));
	void *library = dlopen(path, RTLD_NOW | RTLD_DEEPBIND);

	CHECK(library, "dlopen: %s", dlerror());
	*(void **)&deep_malloc = dlsym(library, "deep_malloc");
	*(void **)&deep_strdup = dlsym(library, "deep_strdup");
	*(void **)&deep_file = dlsym(library, "deep_file");
	CHECK(deep_malloc && deep_strdup && deep_file, "dlsym: %s", dlerror());
	CHECK(strstr(deep_file(), "libc.so"), "RTLD_DEEPBIND was to give glibc's malloc, not %s's",
		deep_file());
	for (int i = 0; i < 1000; i++) {
		char *text = deep_strdup("from afar"), *block = deep_malloc((size_t)i * 50);

		CHECK(strcmp(text, "from afar") == 0, "%s", text);
		free(text);
		block = realloc(block, (size_t)i * 100 + 1);
		CHECK(block, "realloc of a block from a library under RTLD_DEEPBIND");
		free(block);
	}
	dlclose(library);
}

int main(void)
{
	void *libc;

	api_begin();
	libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
	CHECK(libc, "dlopen of libc: %s", dlerror());
	*(void **)&glibc_malloc = dlsym(libc, "__libc_malloc");
	CHECK(glibc_malloc, "glibc has no __libc_malloc");
	check_glibc();
	check_no_leak();
	check_deepbind();
	return 0;
}
