/*
 * hak_stats_json is JSON and behaves as snprintf; hak_stats_print writes a table; neither
 * allocates.
 */
#include "hakmem.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char text[1 << 20], part[1 << 20];

/* The kernel may count one more between two calls. */
static void same_faults(void)
{
	size_t at = (size_t)(strstr(text, "\"faults\": ") - text) + strlen("\"faults\": ");

	for (; text[at] >= '0' && text[at] <= '9' && part[at]; at++)
		part[at] = text[at];
}

static void check_as_snprintf(void)
{
	int length, again;

	/* Touched, so that the count of page faults stays as it is. */
	memset(text, 1, sizeof text);
	memset(part, 1, sizeof part);
	hak_stats_json(part, sizeof part);
	length = hak_stats_json(NULL, 0);
	again = hak_stats_json(text, sizeof text);
	CHECK(length > 50 && length < (int)sizeof text, "hak_stats_json(NULL, 0) returned %d",
		length);
	CHECK(again == length, "%d bytes, then %d", length, again);
	CHECK(strlen(text) == (size_t)length, "returned %d, wrote %zu", length, strlen(text));
	for (size_t room = 1; room <= (size_t)length + 1; room += room / 3 + 1) {
		memset(part, 0x7f, sizeof part);
		CHECK(hak_stats_json(part, room) == length, "with room for %zu", room);
		CHECK(strlen(part) == room - 1, "%zu bytes in room for %zu", strlen(part), room);
		same_faults();
		CHECK(strncmp(part, text, room - 1) == 0, "room for %zu changes the text", room);
		CHECK(part[room] == 0x7f, "written beyond room for %zu", room);
	}
}

static void check_parses(void)
{
	FILE *python = popen("python3 -m json.tool >/dev/null", "w");
	int status;

	CHECK(python, "popen: %s", strerror(errno));
	CHECK(fputs(text, python) >= 0, "cannot write to python3");
	status = pclose(python);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		test_skip("there is no python3");
	CHECK(status == 0, "python3 -m json.tool does not take it: %.200s", text);
}

static void check_names(void)
{
	static const char *const names[] = {"live", "live_blocks", "cached", "pooled", "queued",
		"mapped", "reserved", "metadata", "heaps", "heaps_live", "spans_claimed",
		"spans_freed", "pages_released", "pages_taken", "remote_batches", "remote_blocks",
		"purge_calls", "purged", "map_calls", "whales", "whale_bytes", "nodes", "resident",
		"fresh", "faults", "huge_regions", "demotions", "limit_soft", "limit_hard",
		"guarded", "guarded_ever", "guard_missed", "sites"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char quoted[64];

		snprintf(quoted, sizeof quoted, "\"%s\"", names[i]);
		CHECK(strstr(text, quoted), "%s is missing in %.300s", quoted, text);
	}
}

static void check_no_allocation(void)
{
	struct hak_stats before, after;
	int fd[2];
	ssize_t bytes;

	CHECK(pipe(fd) == 0, "pipe: %s", strerror(errno));
	hak_stats(&before, sizeof before);
	hak_stats_json(text, sizeof text);
	hak_stats_print(fd[1]);
	hak_stats(&after, sizeof after);
	before.faults = after.faults; /* a page of its stack may be touched for the first time */
	CHECK(memcmp(&before, &after, sizeof before) == 0, "reporting changed the statistics");
	close(fd[1]);
	bytes = read(fd[0], part, sizeof part - 1);
	CHECK(bytes > 100, "hak_stats_print wrote %zd bytes", bytes);
	part[bytes] = 0;
	CHECK(strchr(part, '\n') && strstr(part, "blocks"), "hak_stats_print wrote %s", part);
	close(fd[0]);
}

int main(void)
{
	void *keep[3] = {hak_malloc(100), hak_malloc(100000), hak_malloc(5 * MIB)};

	CHECK(keep[0] && keep[1] && keep[2], "hak_malloc");
	check_as_snprintf();
	check_names();
	check_no_allocation();
	check_parses();
	for (int i = 0; i < 3; i++)
		hak_free(keep[i]);
	return 0;
}
