/*
 * replay.c: main() of the fuzz targets where there is no libFuzzer: runs the
 * target once on each file named, and on each file of the directories named.
 * With FUZZ_NAMES set it says which one is at work.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INPUT_BYTES_MAX = 1 << 16, GUARD_BYTES = 4096, PATH_BYTES_MAX = 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void stop(const char *what)
{
	fprintf(stderr, "replay: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* No block of malloc's: the targets count those. Behind it lies a page that nobody may read. */
static uint8_t *input_end(void)
{
	static uint8_t *end;
	uint8_t *start;

	if (end)
		return end;
	start = mmap(NULL, INPUT_BYTES_MAX + GUARD_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (start == MAP_FAILED || mprotect(start + INPUT_BYTES_MAX, GUARD_BYTES, PROT_NONE) != 0)
		stop("memory for the input");
	end = start + INPUT_BYTES_MAX;
	return end;
}

static unsigned replay_file(const char *path)
{
	int fd = open(path, O_RDONLY);
	struct stat status;
	uint8_t *data;

	if (fd < 0 || fstat(fd, &status) != 0)
		stop(path);
	if (status.st_size > INPUT_BYTES_MAX)
		status.st_size = INPUT_BYTES_MAX;
	data = input_end() - status.st_size;
	if (read(fd, data, (size_t)status.st_size) != status.st_size)
		stop(path);
	close(fd);
	if (getenv("FUZZ_NAMES"))
		dprintf(STDERR_FILENO, "%s\n", path);
	LLVMFuzzerTestOneInput(data, (size_t)status.st_size);
	return 1;
}

static unsigned replay(const char *path)
{
	char name[PATH_BYTES_MAX];
	struct dirent *entry;
	unsigned count = 0;
	DIR *directory = opendir(path);

	if (!directory)
		return replay_file(path);
	while ((entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
		count += replay_file(name);
	}
	closedir(directory);
	return count;
}

int main(int argc, char **argv)
{
	unsigned count = 0;

	for (int i = 1; i < argc; i++)
		count += replay(argv[i]);
	if (count == 0) {
		fprintf(stderr, "replay: no input (usage: %s FILE-OR-DIRECTORY...)\n", argv[0]);
		return 2;
	}
	dprintf(STDOUT_FILENO, "%u inputs replayed\n", count);
	return 0;
}
