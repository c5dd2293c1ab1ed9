/*
 * test.c: the functions of test.h.
 */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void print_line(const char *head, const char *format, va_list values)
{
	char text[18000];
	int n = snprintf(text, sizeof text, "%s", head);

	n += vsnprintf(text + n, sizeof text - (size_t)n - 1, format, values);
	if (n > (int)sizeof text - 2)
		n = (int)sizeof text - 2;
	text[n] = '\n';
	if (write(2, text, (size_t)n + 1) < 0)
		_exit(2);
}

void test_fail(const char *file, int line, const char *condition, const char *format, ...)
{
	char head[512];
	va_list values;

	snprintf(head, sizeof head, "%s:%d: not %s: ", file, line, condition);
	va_start(values, format);
	print_line(head, format, values);
	va_end(values);
	_exit(1);
}

void test_skip(const char *format, ...)
{
	va_list values;

	va_start(values, format);
	print_line("skipped: ", format, values);
	va_end(values);
	_exit(77);
}

uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void use_block(void *(*allocate)(size_t), void (*release)(void *), size_t bytes)
{
	volatile char *block = allocate(bytes);

	CHECK(block, "a block of %zu bytes", bytes);
	for (size_t i = 0; i < bytes; i += 4096)
		block[i] = 1;
	release((void *)block);
}

/* The pattern goes by words; -fno-builtin is for malloc, a copy of 8 bytes shall be one store. */
static inline uint64_t pattern_word(uint64_t seed, size_t at)
{
	return (seed + 1) * 0x9e3779b97f4a7c15u + at * 0xbf58476d1ce4e5b9u;
}

void pattern_fill(void *block, size_t bytes, uint64_t seed)
{
	char *to = block;
	size_t at = 0;

	for (; at + 8 <= bytes; at += 8) {
		uint64_t word = pattern_word(seed, at);

		__builtin_memcpy(to + at, &word, 8);
	}
	uint64_t last = pattern_word(seed, at);

	for (; at < bytes; at++, last >>= 8)
		to[at] = (char)last;
}

bool pattern_ok(const void *block, size_t bytes, uint64_t seed)
{
	const char *from = block;
	size_t at = 0;

	for (; at + 8 <= bytes; at += 8) {
		uint64_t word;

		__builtin_memcpy(&word, from + at, 8);
		if (word != pattern_word(seed, at))
			return false;
	}
	uint64_t last = pattern_word(seed, at);

	for (; at < bytes; at++, last >>= 8) {
		if (from[at] != (char)last)
			return false;
	}
	return true;
}

bool all_zero(const void *block, size_t bytes)
{
	const char *from = block;
	size_t at = 0;

	for (; at + 8 <= bytes; at += 8) {
		uint64_t word;

		__builtin_memcpy(&word, from + at, 8);
		if (word != 0)
			return false;
	}
	for (; at < bytes; at++) {
		if (from[at] != 0)
			return false;
	}
	return true;
}

/* In pages. No stream: it would allocate what is being measured. */
static void read_statm(unsigned long *total, unsigned long *resident)
{
	char text[128] = "";
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0, "/proc/self/statm: %s", strerror(errno));
	CHECK(read(fd, text, sizeof text - 1) > 0, "/proc/self/statm cannot be read");
	close(fd);
	CHECK(sscanf(text, "%lu %lu", total, resident) == 2, "statm reads %s", text);
}

size_t space_bytes(void)
{
	unsigned long total = 0, resident = 0;

	read_statm(&total, &resident);
	return total * (size_t)sysconf(_SC_PAGESIZE);
}

/* The quickest of some first touches of a huge page's memory, in ns; 0: it did not get one. */
static uint64_t touch_ns(char *page, int advice, size_t step)
{
	uint64_t best = UINT64_MAX;
	unsigned char last = 0;

	for (unsigned try = 0; try < 4; try++) {
		struct timespec begin, end;

		madvise(page, 2 * MIB, MADV_DONTNEED);
		madvise(page, 2 * MIB, advice);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
		for (size_t at = 0; at < 2 * MIB; at += step)
			((volatile char *)page)[at] = 1;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
		if (mincore(page + 2 * MIB - 4096, 4096, &last) != 0 || !(last & 1))
			return 0;
		uint64_t ns = (uint64_t)(end.tv_sec - begin.tv_sec) * 1000000000 +
			      (uint64_t)end.tv_nsec - (uint64_t)begin.tv_nsec;
		best = ns < best ? ns : best;
	}
	return best;
}

bool kernel_has_huge(void)
{
	char *memory =
		mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(memory != MAP_FAILED, "mmap");
	char *page = (char *)(((uintptr_t)memory + 2 * MIB - 1) & ~(uintptr_t)(2 * MIB - 1));
	uint64_t huge = touch_ns(page, MADV_HUGEPAGE, 2 * MIB);
	uint64_t small = touch_ns(page, MADV_NOHUGEPAGE, 4096);
	munmap(memory, 4 * MIB);
	return huge && 3 * huge < small;
}

uint64_t count_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)usage.ru_minflt;
}

size_t resident_bytes(void)
{
	unsigned long total = 0, resident = 0;

	read_statm(&total, &resident);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

int count_tasks(void)
{
	DIR *dir = opendir("/proc/self/task");
	int count = 0;

	CHECK(dir, "/proc/self/task");
	for (struct dirent *entry; (entry = readdir(dir));)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

size_t resident_peak_bytes(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (size_t)usage.ru_maxrss * KIB;
}

/* Reads the child's stderr to its end and waits for it. */
static void child_collect(struct child *child, pid_t pid, int fd)
{
	char spill[4096];
	ssize_t n;

	child->bytes = 0;
	for (;;) {
		size_t room = sizeof child->text - 1 - child->bytes;

		n = room ? read(fd, child->text + child->bytes, room)
			 : read(fd, spill, sizeof spill);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (room)
			child->bytes += (size_t)n;
	}
	child->text[child->bytes] = 0;
	close(fd);
	while (waitpid(pid, &child->status, 0) < 0)
		CHECK(errno == EINTR, "waitpid: %s", strerror(errno));
}

static pid_t child_fork(int fd[2])
{
	pid_t pid;

	CHECK(pipe(fd) == 0, "pipe: %s", strerror(errno));
	pid = fork();
	CHECK(pid >= 0, "fork: %s", strerror(errno));
	if (pid == 0) {
		dup2(fd[1], 2);
		close(fd[0]);
		close(fd[1]);
		signal(SIGALRM, SIG_DFL);
		alarm(60);
	} else {
		close(fd[1]);
	}
	return pid;
}

void child_run(struct child *child, void (*body)(void *), void *argument)
{
	int fd[2];
	pid_t pid = child_fork(fd);

	if (pid == 0) {
		body(argument);
		_exit(0);
	}
	child_collect(child, pid, fd[0]);
}

void child_exec(struct child *child, char *const *argv, char *const *environment)
{
	int fd[2];
	pid_t pid = child_fork(fd);

	if (pid == 0) {
		execve("/proc/self/exe", argv, environment);
		_exit(126);
	}
	child_collect(child, pid, fd[0]);
}

bool child_exited(const struct child *child, int code)
{
	return WIFEXITED(child->status) && WEXITSTATUS(child->status) == code;
}

bool child_aborted(const struct child *child)
{
	return WIFSIGNALED(child->status) && WTERMSIG(child->status) == SIGABRT;
}

size_t child_lines(const struct child *child)
{
	size_t lines = 0;

	for (size_t i = 0; i < child->bytes; i++)
		lines += child->text[i] == '\n';
	return lines + (child->bytes > 0 && child->text[child->bytes - 1] != '\n');
}

const char *child_what(const struct child *child)
{
	static char text[17000];

	if (WIFSIGNALED(child->status))
		snprintf(text, sizeof text, "signal %d, stderr: %s", WTERMSIG(child->status),
			child->text);
	else
		snprintf(text, sizeof text, "exit status %d, stderr: %s",
			WEXITSTATUS(child->status), child->text);
	return text;
}
