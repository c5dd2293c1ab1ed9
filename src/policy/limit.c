/*
 * limit.c: see limit.h. A control group's limit counts everything its processes
 * have, so a share of it is left for what is not ours.
 */
#include "policy/limit.h"

#include "base/os_numa.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_SHARE 8 /* one part in so many is left to others */

#define TEXT_BYTES 4096
#define PATH_BYTES 1024

_Atomic(size_t) x_limit_group;

size_t limit_hard(void)
{
	size_t hard = limit_hard_of(load_rlx(&options.x_limit));
	return hard ? hard : SIZE_MAX;
}

size_t limit_soft(void)
{
	size_t soft = limit_soft_of(load_rlx(&options.x_limit)), group = load_rlx(&x_limit_group);
	soft = soft ? soft : limit_hard();
	return group ? min_size(soft, group) : soft;
}

/* Not on the stack, which may be small: who meets another reader goes without. */
static _Atomic(bool) x_reading; /* any: cas acquire, store release [L4] */
static char text[TEXT_BYTES], group[PATH_BYTES];

/* The value of a file of a group, SIZE_MAX for "max" and where there is none. */
static size_t read_limit(const char *mount, const char *file)
{
	char path[PATH_BYTES + 64], value[64];
	int n = snprintf(path, sizeof path, "%s%s/%s", mount, group, file);
	if (n < 0 || (size_t)n >= sizeof path || !os_read_file(path, value, sizeof value - 1) ||
		value[0] < '0' || value[0] > '9')
		return SIZE_MAX;
	return strtoull(value, NULL, 10);
}

/* `group` from the line of version 2, "0::/path"; false if there is none that fits. */
static bool find_group(void)
{
	const char *line = strncmp(text, "0::/", 4) ? strstr(text, "\n0::/") : text;
	if (!line)
		return false;
	line = strchr(line, '/');
	size_t length = strcspn(line, "\n");
	if (length >= sizeof group)
		return false;
	memcpy(group, line, length);
	group[length] = '\0';
	return true;
}

static bool read_group(const char *mount, const char *process_file, size_t *bytes)
{
	size_t least = SIZE_MAX;
	*bytes = 0;
	if (!os_read_file(process_file, text, sizeof text - 1))
		return false;
	if (!find_group())
		return true;
	/* From the process's own group up to the root, which may be a container's. */
	for (;;) {
		char *slash = strrchr(group, '/');
		if (slash && slash[1] == '\0')
			*slash = '\0'; /* the root is "/" */
		least = min_size(least, read_limit(mount, "memory.max"));
		least = min_size(least, read_limit(mount, "memory.high"));
		slash = strrchr(group, '/');
		if (!slash)
			break;
		*slash = '\0';
	}
	if (least != SIZE_MAX)
		*bytes = max_size(least - least / GROUP_SHARE, 1); /* 0 is a limit too */
	return true;
}

bool limit_of_group(const char *mount, const char *process_file, size_t *bytes)
{
	bool reading = false;
	if (!cas_acq(&x_reading, &reading, true)) /* [L4] */
		return false;
	bool read = read_group(mount, process_file, bytes);
	store_rel(&x_reading, false); /* [L4] */
	return read;
}

void limit_forked(void)
{
	store_rlx(&x_reading, false);
}

void limit_read_group(void)
{
	int saved = errno;
	size_t bytes;
	if (limit_of_group("/sys/fs/cgroup", "/proc/self/cgroup", &bytes))
		store_rlx(&x_limit_group, bytes);
	errno = saved;
}
