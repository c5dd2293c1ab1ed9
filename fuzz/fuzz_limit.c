/*
 * fuzz_limit: what limits the memory of the process: /proc/self/cgroup ("@cgroup"), memory.max and
 * memory.high of its group and of those above it ("@a/b/memory.max"); and the two files that say
 * whether there are huge pages. The least limit counts, read a second time here.
 */
#include "inside.h"

#include "base/os.h"
#include "policy/limit.h"
#include "policy/thp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 1 << 16, GROUP_BYTES = 1024, HUGE_BYTES = 2 << 20 };

static char text[TEXT_BYTES + 1];

static uint64_t lower(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* UINT64_MAX: none. */
static uint64_t limit_of(const char *group, const char *file)
{
	char name[GROUP_BYTES + 64], value[64];
	const char *at = value;
	uint64_t n;

	snprintf(name, sizeof name, "%s/%s", group, file);
	return file_text(name, value, 62) && number_at(&at, &n) ? n : UINT64_MAX;
}

/* The line of version 2 is the first that begins with "0::/". */
static bool find_group(char *group)
{
	const char *at = text;

	while (strncmp(at, "0::/", 4) != 0) {
		at = strchr(at, '\n');
		if (!at)
			return false;
		at++;
	}
	at += 3;
	if (strcspn(at, "\n") >= GROUP_BYTES)
		return false;
	memcpy(group, at, strcspn(at, "\n"));
	group[strcspn(at, "\n")] = '\0';
	return true;
}

static uint64_t least_limit(char *group)
{
	uint64_t least = UINT64_MAX;

	for (size_t length = strlen(group);; length--) {
		if (length > 0 && group[length] && group[length] != '/')
			continue;
		group[length] = '\0';
		if (length > 0 && group[length - 1] == '/')
			continue;
		least = lower(least, limit_of(group, "memory.max"));
		least = lower(least, limit_of(group, "memory.high"));
		if (length == 0)
			return least;
	}
}

static void check_limit(void)
{
	char group[GROUP_BYTES];
	bool readable = file_text("cgroup", text, 4094), read;
	size_t bytes = 1, wanted = 0;

	if (readable && find_group(group)) {
		uint64_t least = least_limit(group);

		if (least != UINT64_MAX)
			wanted = least ? least - least / 8 : 1;
	}
	read = limit_of_group(FILES_ROOT, FILES_ROOT "/cgroup", &bytes);
	if (read != readable || bytes != wanted)
		broken("%s: a limit of %zu, not %zu", read ? "read" : "not read", bytes, wanted);
}

static void check_huge_pages(void)
{
	char enabled[64], size[64];
	uint64_t bytes = file_text("hpage_pmd_size", size, 62) ? strtoull(size, NULL, 10) : 0;
	bool there = file_text("enabled", enabled, 62) && !strstr(enabled, "[never]") && bytes &&
		     bytes <= HUGE_BYTES && os_address_space_limit() == SIZE_MAX &&
		     !os_huge_pages_denied();

	for (size_t granule = 64 << 10; granule <= HUGE_BYTES; granule *= 2) {
		bool wanted = there && bytes % granule == 0;

		if (thp_ask(granule) != wanted ||
			load_rlx(&x_thp_system) != (wanted ? THP_YES : THP_NO))
			broken("huge pages of %zu and granules of %zu: %s", (size_t)bytes, granule,
				wanted ? "refused" : "taken");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	files_set(data, bytes, NULL);
	check_limit();
	check_huge_pages();
	return 0;
}
