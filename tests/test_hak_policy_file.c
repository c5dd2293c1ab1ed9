/*
 * HAKMEM_POLICY_FILE: what one run has learned, the next begins with; a file that is cut, changed or
 * none of ours is reported in one line that names it, ignored, and never written to; where it cannot
 * be saved, what was there stays.
 */
#include "hakmem.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SMALL = 2 << 20, LARGE = 12 << 20, EVERY_MS = 40, FILE_BYTES = 4096 };

static char directory[] = "/tmp/hakmem-policy-XXXXXX", path[64], text[FILE_BYTES];
static size_t length;

static void use(size_t size)
{
	use_block(hak_malloc, hak_free, size);
}

static uint64_t choice(void)
{
	struct hak_policy_stats s;

	CHECK(hak_policy_stats(-1, HAK_SITE_HOT, &s, sizeof s) == 0, "hak_policy_stats");
	return s.choice;
}

/* In a child: large blocks idle, so that the choice is none that it could begin with. */
static void learn(void)
{
	uint64_t end = now_ms() + 60000, next = 0;

	while (now_ms() < end && choice() >= LARGE) {
		use(SMALL);
		if (now_ms() >= next) {
			use(LARGE);
			next = now_ms() + EVERY_MS;
		}
	}
	CHECK(choice() < LARGE, "nothing was learned");
}

/* In a child: what it begins with, what it does about it, and whether it may save. */
static void show(void)
{
	struct hak_stats before, after;

	hak_stats(&before, sizeof before);
	for (unsigned i = 0; i < 3; i++)
		use(LARGE);
	hak_stats(&after, sizeof after);
	dprintf(2, "choice %s, large blocks are %s\n", choice() < LARGE ? "learned" : "first",
		after.purged > before.purged ? "purged" : "kept");
}

static void refuse(void)
{
	uint64_t end = now_ms() + 60;

	while (now_ms() < end)
		use(SMALL);
	errno = 0;
	CHECK(hak_policy_save() == -1 && errno == EINVAL, "it may be saved, errno %d", errno);
	show();
}

static void run(struct child *child, const char *what, const char *file, const char *policy)
{
	char *argv[] = {(char[]){"test_hak_policy_file"}, strdup(what), NULL};
	char variable[128], mode[64];
	/* Blocks that move to huge pages are purged, whatever was learned. */
	char *environment[] = {(char[]){"HAKMEM_HUGE=0"}, mode, file ? variable : NULL, NULL};

	snprintf(variable, sizeof variable, "HAKMEM_POLICY_FILE=%s", file ? file : "");
	snprintf(mode, sizeof mode, "HAKMEM_POLICY=%s", policy);
	child_exec(child, argv, environment);
	CHECK(child_exited(child, 0), "%s: %s, %s", what, child_what(child), child->text);
	free(argv[1]);
}

static size_t get(char *into)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, into, FILE_BYTES);

	CHECK(n > 0 && n < FILE_BYTES, "%s: %zd bytes", path, n);
	close(fd);
	return (size_t)n;
}

static void put(const char *from, size_t bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0 && write(fd, from, bytes) == (ssize_t)bytes, "%s: %s", path, strerror(errno));
	close(fd);
}

static void expect(const char *policy, const char *wanted)
{
	struct child child;

	run(&child, "show", path, policy);
	CHECK(strcmp(child.text, wanted) == 0, "%s: %s", policy, child.text);
}

static void check_learned(void)
{
	struct child child;

	expect("learn", "choice first, large blocks are kept\n");
	CHECK(access(path, F_OK) != 0, "a file without anything in it");
	run(&child, "learn", path, "learn");
	CHECK(child_lines(&child) == 0, "%s", child.text);
	length = get(text);
	expect("learn", "choice learned, large blocks are purged\n");
	expect("frozen", "choice learned, large blocks are purged\n");
	expect("off", "choice learned, large blocks are kept\n");
	run(&child, "show", NULL, "learn");
	CHECK(strcmp(child.text, "choice first, large blocks are kept\n") == 0, "%s", child.text);
}

static void check_bad(const char *what, const char *bytes, size_t count)
{
	static char after[FILE_BYTES];
	struct child child;

	put(bytes, count);
	run(&child, "refuse", path, "learn");
	CHECK(child_lines(&child) == 2 && strstr(child.text, "hakmem: ") == child.text &&
			strstr(child.text, path) && strstr(child.text, "\nchoice first"),
		"%s: %s", what, child.text);
	CHECK(get(after) == count && memcmp(after, bytes, count) == 0, "%s: was written to", what);
}

static void check_damaged(void)
{
	static char bad[FILE_BYTES];

	for (size_t at = 1; at < length; at += length / 5)
		check_bad("cut short", text, at);
	for (size_t at = 3; at < length; at += length / 9) {
		memcpy(bad, text, length);
		bad[at] ^= 1;
		check_bad("one bit", bad, length);
	}
	memcpy(bad, text, length);
	bad[length] = '\n';
	check_bad("one line more", bad, length + 1);
	bad[length] = '\0';
	check_bad("something behind a zero byte", bad, length + 1);
	check_bad("another file", "root:x:0:0:root:/root:/bin/bash\n", 32);
	memset(bad, 'a', sizeof bad);
	check_bad("too long", bad, sizeof bad - 1);
	put(text, length);
	expect("learn", "choice learned, large blocks are purged\n");
}

static void check_places(void)
{
	struct child child;

	run(&child, "refuse", directory, "learn");
	CHECK(child_lines(&child) == 2 && strstr(child.text, directory), "a directory: %s",
		child.text);
	/* It cannot be saved there: nothing is left behind, and the program ends as it would. */
	run(&child, "learn", "/proc/none/policy", "learn");
	CHECK(child_lines(&child) == 0, "%s", child.text);
	CHECK(unlink(path) == 0 && rmdir(directory) == 0, "%s: %s", directory, strerror(errno));
}

int main(int argc, char **argv)
{
	if (TEST_SANITIZED)
		test_skip("the sanitizers make the program, not memory, what takes time");
	if (argc > 1) {
		if (strcmp(argv[1], "learn") == 0)
			learn();
		else if (strcmp(argv[1], "refuse") == 0)
			refuse();
		else
			show();
		return 0;
	}
	CHECK(mkdtemp(directory), "mkdtemp: %s", strerror(errno));
	snprintf(path, sizeof path, "%s/policy", directory);
	check_learned();
	check_damaged();
	check_places();
	return 0;
}
