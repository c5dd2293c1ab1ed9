/*
 * HAKMEM_POLICY_FILE: what one run has learned, the next begins with: choices, and by size how long
 * blocks stay and which have huge pages, which its first page faults show. A file of version 1 has
 * none of the latter and is saved as one of version 2. A file that is cut, changed or none of ours is
 * reported in one line that names it, ignored, and never written to; where it cannot be saved, what
 * was there stays.
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

enum { SMALL = 2 << 20, DENSE = 6 << 20, LARGE = 12 << 20, EVERY_MS = 40, FILE_BYTES = 4096 };

/* By size: nothing; and something, but of that of SMALL, which is in use here. */
#define NO_STAYS "stays 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
#define NO_HUGE "huge 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
#define STAYS "stays 0 0 0 0 0 0 0 2 0 1 0 0 2\n"
#define HUGE_SIZES "huge 0 0 0 0 0 0 1 0 0 2 1 0 1\n"

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

static uint64_t windows(void)
{
	struct hak_policy_stats s;

	CHECK(hak_policy_stats(-1, HAK_SITE_HOT, &s, sizeof s) == 0, "hak_policy_stats");
	return s.windows;
}

/* Of the statistics, a list by size. */
static const char *by_size(const char *name)
{
	static char json[1 << 18], list[256];
	const char *at;

	CHECK(hak_stats_json(json, sizeof json) < (int)sizeof json, "the statistics do not fit");
	at = strstr(json, name);
	CHECK(at && (at = strchr(at, '[')), "there is no %s", name);
	snprintf(list, sizeof list, "%.*s", (int)(strchr(at, ']') - at) + 1, at);
	return list;
}

/* A block that is written all over; the faults of that. */
static uint64_t fill(void)
{
	char *block = hak_malloc(DENSE);
	uint64_t before = count_faults(), seen;

	CHECK(block, "hak_malloc");
	memset(block, 1, DENSE);
	seen = count_faults() - before;
	hak_free(block);
	return seen;
}

/* In a child: blocks that are fresh and written all over, until they have huge pages. */
static void promote(void)
{
	uint64_t end = now_ms() + 60000;

	while (now_ms() < end && (!windows() || !strstr(by_size("promoted"), "true"))) {
		fill();
		hak_purge();
	}
	CHECK(strstr(by_size("promoted"), "true"), "nothing was promoted");
}

/* In a child: the first block. */
static void first(void)
{
	uint64_t faults = fill();

	dprintf(2, "%s faults\n", faults < DENSE / 4096 / 2 ? "few" : "many");
}

/* In a child: what it begins with. No helper, so that the purge delay is none. */
static void sizes(void)
{
	dprintf(2, "%s ", by_size("stays_ms"));
	dprintf(2, "%s\n", by_size("promoted"));
}

/* In a child: it learns something, so that it saves. */
static void save(void)
{
	uint64_t end = now_ms() + 60000;

	while (now_ms() < end && !windows())
		use(SMALL);
	CHECK(hak_policy_save() == 0, "hak_policy_save: %s", strerror(errno));
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

static const struct {
	const char *name;
	void (*body)(void);
} roles[] = {{"learn", learn}, {"show", show}, {"refuse", refuse}, {"promote", promote},
	{"first", first}, {"sizes", sizes}, {"save", save}};

static void run(struct child *child, const char *what, const char *file, const char *policy)
{
	char *argv[] = {(char[]){"test_hak_policy_file"}, strdup(what), NULL};
	char variable[128], mode[64], huge[64];
	char *environment[] = {huge, mode, file ? variable : NULL, NULL};

	/* Blocks that move to huge pages are purged, whatever was learned. */
	snprintf(huge, sizeof huge, "HAKMEM_HUGE=%d",
		strcmp(what, "promote") == 0 || strcmp(what, "first") == 0);
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

static void expect_of(const char *what, const char *file, const char *policy, const char *wanted)
{
	struct child child;

	run(&child, what, file, policy);
	CHECK(strcmp(child.text, wanted) == 0, "%s: %s: %s", what, policy, child.text);
}

static void expect(const char *policy, const char *wanted)
{
	expect_of("show", path, policy, wanted);
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
	expect_of("show", NULL, "learn", "choice first, large blocks are kept\n");
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

/* The classes of what was saved, and these lines by size, with the checksum that belongs to them. */
static size_t compose(char *file, unsigned version, const char *by_sizes)
{
	const char *from = strchr(text, '\n') + 1, *end = strstr(text, "stays ");
	uint64_t sum = 0xcbf29ce484222325u;
	size_t bytes;

	CHECK(end && end > from, "nothing by size in %s", text);
	bytes = (size_t)snprintf(file, FILE_BYTES, "hakmem policy %u\n%.*s%s", version,
		(int)(end - from), from, by_sizes);
	for (size_t i = 0; i < bytes; i++)
		sum = (sum ^ (unsigned char)file[i]) * 0x100000001b3u;
	return bytes + (size_t)snprintf(file + bytes, FILE_BYTES - bytes, "sum %016llx\n",
			       (unsigned long long)sum);
}

/* Has begun with that file, learned something and saved it: the lines by size. */
static const char *saved_sizes(const char *from, size_t bytes)
{
	static char after[FILE_BYTES];
	struct child child;
	char *line;

	put(from, bytes);
	run(&child, "save", path, "learn");
	CHECK(child_lines(&child) == 0, "%s", child.text);
	after[get(after)] = '\0';
	CHECK(strncmp(after, "hakmem policy 2\n", 16) == 0, "saved %s", after);
	line = strstr(after, "stays ");
	CHECK(line && strstr(line, "huge ") && strstr(line, "sum "), "saved %s", after);
	*strstr(line, "sum ") = '\0';
	/* What was in use may be known now. */
	line[strlen("stays ") + 8] = '0';
	strstr(line, "huge ")[strlen("huge ") + 8] = '0';
	return line;
}

static void check_sizes(void)
{
	static const char *const bad[] = {"stays 0 0 0 0 0 0 0 3 0 0 0 0 0\n" NO_HUGE,
		NO_STAYS "huge 0 0 0 0 0 0 3 0 0 0 0 0 0\n",
		"stays 0 0 0 0 0 0 0 0 0 0 0 0\n" NO_HUGE,
		NO_STAYS "huge 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n", NO_STAYS, NO_HUGE, NO_HUGE NO_STAYS,
		"stays 0 0 0 0 0 0 0 -1 0 0 0 0 0\n" NO_HUGE, ""};
	static char file[FILE_BYTES];
	const char *seen;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		check_bad(bad[i], file, compose(file, 2, bad[i]));
	check_bad("version 0", file, compose(file, 0, ""));
	check_bad("version 1 with sizes", file, compose(file, 1, NO_STAYS NO_HUGE));
	check_bad("version 3", file, compose(file, 3, NO_STAYS NO_HUGE));
	put(file, compose(file, 2, STAYS HUGE_SIZES));
	expect_of("sizes", path, "frozen",
		"[0, 0, 0, 0, 0, 0, 0, 60, 0, 125, 0, 0, 60] [false, false, false, false, false, "
		"false, true, false, false, false, true, false, true]\n");
	seen = saved_sizes(file, compose(file, 2, STAYS HUGE_SIZES));
	CHECK(strcmp(seen, STAYS HUGE_SIZES) == 0, "loaded, learned and saved as %s", seen);
	put(file, compose(file, 1, ""));
	expect("learn", "choice learned, large blocks are purged\n");
	seen = saved_sizes(file, compose(file, 1, ""));
	CHECK(strcmp(seen, NO_STAYS NO_HUGE) == 0, "version 1 is saved as %s", seen);
}

/* What had huge pages at the end has them from the start. */
static void check_promoted(void)
{
	struct child child;

	CHECK(unlink(path) == 0, "%s: %s", path, strerror(errno));
	if (kernel_has_huge()) {
		expect_of("first", path, "learn", "many faults\n");
		run(&child, "promote", path, "learn");
		CHECK(child_lines(&child) == 0, "%s", child.text);
		expect_of("first", path, "learn", "few faults\n");
		expect_of("first", path, "frozen", "few faults\n");
		expect_of("first", path, "off", "many faults\n");
		expect_of("first", NULL, "learn", "many faults\n");
	}
	put(text, length);
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
		for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
			if (strcmp(argv[1], roles[i].name) == 0)
				roles[i].body();
		return 0;
	}
	CHECK(mkdtemp(directory), "mkdtemp: %s", strerror(errno));
	snprintf(path, sizeof path, "%s/policy", directory);
	check_learned();
	check_damaged();
	check_sizes();
	check_promoted();
	check_places();
	return 0;
}
