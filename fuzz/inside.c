/*
 * inside.c: see inside.h.
 */
#include "inside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

enum {
	FILES_MAX = 256,
	FILE_BYTES_MAX = 1 << 16,
	SAID_BYTES = 1 << 16,
	SAVED_BYTES = 4096,
	LINE_BYTES = 512,
};

static struct file {
	struct text name, text;
} files[FILES_MAX];
static size_t file_count;

char said[SAID_BYTES];
static size_t said_bytes;
static bool catching;

struct text saved;
static char saved_text[SAVED_BYTES];

ssize_t __wrap_write(int fd, const void *text, size_t bytes);
ssize_t __real_write(int fd, const void *text, size_t bytes);
bool __wrap_os_read_file(const char *path, char *text, size_t bytes);
bool __real_os_read_file(const char *path, char *text, size_t bytes);
bool __wrap_os_replace_file(
	const char *path, const char *temporary, const char *text, size_t bytes);

/* The next line that begins with '@', or the end. */
static const char *next_file(const char *at, const char *end)
{
	while (at < end && *at != '@') {
		at = memchr(at, '\n', (size_t)(end - at));
		at = at ? at + 1 : end;
	}
	return at;
}

size_t files_set(const uint8_t *data, size_t bytes, const char *last)
{
	const char *start = (const char *)data, *end = start + bytes, *at = next_file(start, end);

	file_count = 0;
	while (at < end && file_count < FILES_MAX) {
		struct file *f = &files[file_count++];
		const char *name = at + 1, *line = memchr(name, '\n', (size_t)(end - name));

		if (!line)
			line = end;
		f->name = (struct text){name, (size_t)(line - name)};
		at = line < end ? line + 1 : end;
		f->text.at = at;
		at = next_file(at, end);
		f->text.bytes = (size_t)(at - f->text.at);
		if (last && f->name.bytes == strlen(last) && !memcmp(name, last, f->name.bytes))
			break;
	}
	return (size_t)(at - start);
}

static bool is_named(const struct file *f, const char *name)
{
	size_t i = 0;

	for (; *name; name++) {
		if (*name == '/' && name[1] == '/')
			continue;
		if (i >= f->name.bytes || f->name.at[i++] != *name)
			return false;
	}
	return i == f->name.bytes;
}

struct text file_named(const char *name)
{
	while (*name == '/')
		name++;
	for (size_t i = 0; i < file_count; i++)
		if (is_named(&files[i], name))
			return files[i].text;
	return (struct text){NULL, 0};
}

bool file_text(const char *name, char *copy, size_t most)
{
	struct text t = file_named(name);

	if (!t.at || t.bytes > most || t.bytes > FILE_BYTES_MAX || memchr(t.at, 0, t.bytes))
		return false;
	memcpy(copy, t.at, t.bytes);
	copy[t.bytes] = '\0';
	return true;
}

bool number_at(const char **at, uint64_t *value)
{
	const char *start = *at;
	unsigned __int128 n = 0;

	for (; **at >= '0' && **at <= '9'; ++*at) {
		n = n * 10 + (unsigned)(**at - '0');
		if (n > UINT64_MAX)
			n = UINT64_MAX;
	}
	*value = (uint64_t)n;
	return *at > start;
}

void said_begin(void)
{
	said_bytes = 0;
	catching = true;
}

unsigned said_end(void)
{
	unsigned lines = 0;

	catching = false;
	said[said_bytes] = '\0';
	for (const char *at = said, *end; *at; at = end + 1, lines++) {
		end = strchr(at, '\n');
		if (!end || end - at >= LINE_BYTES || strncmp(at, "hakmem: ", 8) != 0)
			broken("said what is no line of a report: %.200s", at);
		for (const char *c = at; c < end; c++)
			if ((unsigned char)*c < ' ')
				broken("a report has the character %#x: %.200s", (unsigned)*c, at);
	}
	if (strlen(said) != said_bytes)
		broken("a report has a zero byte: %.200s", said);
	return lines;
}

ssize_t __wrap_write(int fd, const void *text, size_t bytes)
{
	if (!catching || fd != STDERR_FILENO)
		return __real_write(fd, text, bytes);
	if (bytes > sizeof said - 1 - said_bytes)
		bytes = sizeof said - 1 - said_bytes;
	memcpy(said + said_bytes, text, bytes);
	said_bytes += bytes;
	return (ssize_t)bytes;
}

static const char *without_root(const char *path)
{
	static const char *const roots[] = {FILES_ROOT "/", "/sys/kernel/mm/transparent_hugepage/"};

	for (size_t i = 0; i < sizeof roots / sizeof *roots; i++)
		if (!strncmp(path, roots[i], strlen(roots[i])))
			return path + strlen(roots[i]);
	broken("%s is read", path);
}

/* The library's own function reads a real file, and must find in it what there is. */
bool __wrap_os_read_file(const char *path, char *text, size_t bytes)
{
	static char wanted[FILE_BYTES_MAX + 1], real[32];
	static int fd = -1;
	const char *name = without_root(path);
	struct text t = file_named(name);
	bool found;

	if (!t.at) {
		errno = ENOENT;
		return false;
	}
	if (fd < 0) {
		fd = memfd_create("fuzz", MFD_CLOEXEC);
		snprintf(real, sizeof real, "/proc/self/fd/%d", fd);
	}
	if (ftruncate(fd, 0) != 0 || pwrite(fd, t.at, t.bytes, 0) != (ssize_t)t.bytes)
		broken("%s: %s", real, strerror(errno));
	errno = 0;
	found = __real_os_read_file(real, text, bytes);
	if (found != file_text(name, wanted, bytes - 1) || (found && strcmp(text, wanted) != 0))
		broken("%s is %sread, %zu bytes into room for %zu", name, found ? "" : "not ",
			t.bytes, bytes);
	return found;
}

bool __wrap_os_replace_file(const char *path, const char *temporary, const char *text, size_t bytes)
{
	if (strncmp(path, temporary, strlen(path)) != 0 || bytes > sizeof saved_text)
		broken("%zu bytes are saved in %s for %s", bytes, temporary, path);
	memcpy(saved_text, text, bytes);
	saved = (struct text){saved_text, bytes};
	return true;
}
