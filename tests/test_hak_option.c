/*
 * Options: set and read by name, refused where wrong; in the environment a bad value and an
 * unknown name are reported in exactly one line each and the default is kept.
 */
#include "hakmem.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void expect(const char *name, const char *wanted)
{
	char value[64];
	int length = hak_option_get(name, value, sizeof value);

	CHECK(length == (int)strlen(value), "%s: returned %d for %s", name, length, value);
	CHECK(strcmp(value, wanted) == 0, "%s is %s, not %s", name, value, wanted);
}

static void check_calls(void)
{
	static const char *const bad[] = {"", "x", "-1", "12q", "1 ", " 1", "99999999999999999999",
		"0x10", "1.5", "4096T", "+5"};
	char first[64], value[64];
	int length = hak_option_get("purge_bytes", first, sizeof first);

	CHECK(length > 0, "hak_option_get(purge_bytes) returned %d", length);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		errno = 0;
		CHECK(hak_option_set("purge_bytes", bad[i]) == -1 && errno == EINVAL,
			"\"%s\" was taken, errno %d", bad[i], errno);
		expect("purge_bytes", first);
	}
	CHECK(hak_option_set("purge_bytes", "3M") == 0, "3M: %s", strerror(errno));
	expect("purge_bytes", "3145728");
	CHECK(hak_option_set("purge_bytes", "0") == 0, "0: %s", strerror(errno));
	expect("purge_bytes", "0");
	memset(value, 'x', sizeof value);
	CHECK(hak_option_set("purge_bytes", "1234567") == 0, "1234567: %s", strerror(errno));
	CHECK(hak_option_get("purge_bytes", value, 4) == 7, "the length of the whole value");
	CHECK(memcmp(value, "123\0x", 5) == 0, "room for 4 gave %.8s", value);
	CHECK(hak_option_get("purge_bytes", NULL, 0) == 7, "the length without room");
	errno = 0;
	CHECK(hak_option_get("no_such", value, sizeof value) == -1 && errno == EINVAL, "errno %d",
		errno);
	errno = 0;
	CHECK(hak_option_set("no_such", "1") == -1 && errno == EINVAL, "errno %d", errno);
	errno = 0;
	CHECK(hak_option_set("nodes", "synthetic:2") == -1 && errno == EPERM,
		"nodes was taken after start-up, errno %d", errno);
	errno = 0;
	CHECK(hak_option_set("nodes", "synthetic:x") == -1 && errno == EINVAL,
		"a bad value of nodes: errno %d", errno);
	expect("nodes", "system");
}

/* Runs this program with one more variable; it prints purge_bytes on stderr as its own last line.
 */
static void start(struct child *child, const char *variable, const char *extra)
{
	char *argv[] = {(char[]){"test_hak_option"}, (char[]){"show"}, NULL};
	char *environment[] = {(char *)(uintptr_t)variable, (char *)(uintptr_t)extra, NULL};

	child_exec(child, argv, environment);
	CHECK(child_exited(child, 0), "%s: %s", variable, child_what(child));
}

static void expect_report(const char *variable, const char *part, const char *value)
{
	struct child child;
	char last[64];

	start(&child, variable, NULL);
	snprintf(last, sizeof last, "\npurge_bytes %s\n", value);
	CHECK(child_lines(&child) == 2, "%s: not one line but: %s", variable, child.text);
	CHECK(strncmp(child.text, "hakmem: ", 8) == 0 && strstr(child.text, part),
		"%s: the line does not name it: %s", variable, child.text);
	CHECK(strstr(child.text, last), "%s: the default is not kept: %s", variable, child.text);
}

static void expect_silence(const char *variable, const char *value)
{
	struct child child;
	char wanted[64];

	start(&child, variable, NULL);
	snprintf(wanted, sizeof wanted, "purge_bytes %s\n", value);
	CHECK(strcmp(child.text, wanted) == 0, "%s: %s", variable, child.text);
}

static void check_environment(const char *initial)
{
	struct child child;

	expect_silence("OTHER=1", initial);
	expect_silence("HAKMEM_PURGE_BYTES=5242880", "5242880");
	expect_silence("HAKMEM_PURGE_BYTES=5M", "5242880");
	expect_silence("HAKMEM_PURGE_BYTES=1g", "1073741824");
	expect_silence("HAKMEM_NODES=synthetic:2", initial);
	expect_report("HAKMEM_PURGE_BYTES=lots", "HAKMEM_PURGE_BYTES", initial);
	expect_report("HAKMEM_PURGE_BYTES=", "HAKMEM_PURGE_BYTES", initial);
	expect_report("HAKMEM_PURGE_BYTES=-3", "HAKMEM_PURGE_BYTES", initial);
	expect_report("HAKMEM_PURGE_BYTES=12 M", "HAKMEM_PURGE_BYTES", initial);
	expect_report("HAKMEM_PURGE_BYTES=two\nlines", "HAKMEM_PURGE_BYTES", initial);
	expect_report("HAKMEM_PURGE_BYTES=999999999999999999999", "HAKMEM_PURGE_BYTES", initial);
	expect_report("HAKMEM_NODES=many", "HAKMEM_NODES", initial);
	expect_report("HAKMEM_NODES=synthetic:0", "HAKMEM_NODES", initial);
	expect_report("HAKMEM_STATS=maybe", "HAKMEM_STATS", initial);
	expect_report("HAKMEM_NO_SUCH_OPTION=1", "HAKMEM_NO_SUCH_OPTION", initial);
	expect_report("HAKMEM_PURGE_BYTESX=1", "HAKMEM_PURGE_BYTESX", initial);
	start(&child, "HAKMEM_BOGUS=1", "HAKMEM_PURGE_BYTES=bad");
	CHECK(child_lines(&child) == 3, "two bad options: %s", child.text);
}

/* A name and a value far longer than any buffer: still one line each. */
static void check_long(void)
{
	static char variable[70000] = "HAKMEM_PURGE_BYTES=";
	struct child child;

	memset(variable + strlen(variable), 'y', sizeof variable - strlen(variable) - 1);
	start(&child, variable, NULL);
	CHECK(child_lines(&child) == 2, "a long value: %s", child.text);
	memcpy(variable, "HAKMEM_", 7);
	memset(variable + 7, 'Z', 60000);
	variable[60007] = '=';
	start(&child, variable, NULL);
	CHECK(child_lines(&child) == 2, "a long name: %s", child.text);
}

/* What is said of a path is all of it, and "none" is none. */
static void check_path(void)
{
	static const char path[] = "/nonexistent/a/path/that/is/longer/than/any/name/of/an/option";
	char variable[128], wanted[128];
	struct child child;

	snprintf(variable, sizeof variable, "HAKMEM_POLICY_FILE=%s", path);
	snprintf(wanted, sizeof wanted, "option policy_file = %s\n", path);
	start(&child, variable, "HAKMEM_VERBOSE=1");
	CHECK(strstr(child.text, wanted), "%s: %s", variable, child.text);
	start(&child, "HAKMEM_POLICY_FILE=none", "HAKMEM_VERBOSE=1");
	CHECK(strstr(child.text, "option policy_file = none\n") &&
			!strstr(child.text, "HAKMEM_POLICY_FILE"),
		"%s", child.text);
	CHECK(hak_option_get("policy_file", wanted, sizeof wanted) == 4, "%s", wanted);
}

int main(int argc, char **argv)
{
	char initial[64];

	(void)argv;
	CHECK(hak_option_get("purge_bytes", initial, sizeof initial) > 0, "purge_bytes");
	if (argc > 1) {
		void *block = hak_malloc(10);

		dprintf(2, "purge_bytes %s\n", initial);
		hak_free(block);
		return 0;
	}
	check_environment(initial);
	check_long();
	check_path();
	check_calls();
	return 0;
}
