/*
 * Limits of control groups, read from trees made for the test: the least of a group and of those
 * above it, less the share that is left to others; odd files say nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "policy/limit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/test_limit_XXXXXX";

static void put(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", root, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static size_t read_limits(void)
{
	char file[256];
	size_t bytes = 1;

	snprintf(file, sizeof file, "%s/process", root);
	assert_true(limit_of_group(root, file, &bytes));
	return bytes;
}

static size_t less_share(size_t bytes)
{
	return bytes - bytes / 8;
}

static int set_up(void **state)
{
	char path[256];

	(void)state;
	if (!mkdtemp(root))
		return -1;
	snprintf(path, sizeof path, "%s/a", root);
	if (mkdir(path, 0700))
		return -1;
	snprintf(path, sizeof path, "%s/a/b", root);
	return mkdir(path, 0700);
}

static int tear_down(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof command, "rm -r %s", root);
	return system(command);
}

static void clear(void)
{
	static const char *const names[] = {"memory.max", "memory.high", "a/memory.max",
		"a/memory.high", "a/b/memory.max", "a/b/memory.high"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		put(names[i], "max\n");
	put("process", "0::/a/b\n");
}

static void least_of_all(void **state)
{
	(void)state;
	clear();
	assert_int_equal(read_limits(), 0);
	put("memory.max", "1073741824\n");
	assert_int_equal(read_limits(), less_share(1 << 30));
	put("a/memory.high", "536870912\n");
	assert_int_equal(read_limits(), less_share(1 << 29));
	put("a/b/memory.max", "268435456\n");
	assert_int_equal(read_limits(), less_share(1 << 28));
	put("process", "0::/a\n");
	assert_int_equal(read_limits(), less_share(1 << 29));
	put("process", "0::/\n");
	assert_int_equal(read_limits(), less_share(1 << 30));
}

/* Not the same as no limit. */
static void limit_of_zero(void **state)
{
	(void)state;
	clear();
	put("a/memory.high", "0\n");
	assert_int_equal(read_limits(), 1);
}

static void old_hierarchies(void **state)
{
	(void)state;
	clear();
	put("a/memory.max", "8388608\n");
	put("process", "12:memory:/a\n1:name=systemd:/a\n");
	assert_int_equal(read_limits(), 0);
	put("process", "12:memory:/x\n0::/a\n");
	assert_int_equal(read_limits(), less_share(8 << 20));
}

static void odd_files(void **state)
{
	static const char *const odd[] = {"", "\n", "-1\n", "max", "none\n", "\xff\xfe"};
	static char long_path[4000];
	size_t bytes = 1;

	(void)state;
	clear();
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		put("a/b/memory.high", odd[i]);
		assert_int_equal(read_limits(), 0);
		put("process", odd[i]);
		assert_int_equal(read_limits(), 0);
		put("process", "0::/a/b\n");
	}
	snprintf(long_path, sizeof long_path, "0::/%0*d\n", 2000, 0);
	put("process", long_path);
	assert_int_equal(read_limits(), 0);
	assert_false(limit_of_group(root, "/nonexistent/cgroup", &bytes));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(least_of_all),
		cmocka_unit_test(limit_of_zero),
		cmocka_unit_test(old_hierarchies),
		cmocka_unit_test(odd_files),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
