/*
 * common.c: arguments, threads, measuring and printing for all benchmark
 * programs; see common.h.
 */
#define _GNU_SOURCE
#include "common.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS 1024u

uint64_t bench_threads = 1;
uint64_t bench_seed = 1;

void bench_die(const char *format, ...)
{
	va_list list;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fputc('\n', stderr);
	exit(2);
}

static const struct param shared_params[] = {
        {"threads", &bench_threads, "worker threads"},
        {"seed", &bench_seed, "of the random numbers"},
};

static void print_usage(const struct param *params, size_t count)
{
	printf("usage: %s [name=value ...]\n", program_invocation_short_name);
	for (size_t i = 0; i < count; i++)
		printf("  %-8s %s (%llu)\n", params[i].name, params[i].help,
		        (unsigned long long)*params[i].value);
}

static const struct param *find_param(
        const char *name, size_t length, const struct param *params, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(params[i].name) == length && !memcmp(params[i].name, name, length))
			return &params[i];
	return NULL;
}

static void read_argument(const char *argument, const struct param *params, size_t count)
{
	const char *equals = strchr(argument, '=');
	const struct param *param = NULL;
	char *end = NULL;

	if (equals) {
		size_t length = (size_t)(equals - argument);

		param = find_param(argument, length, params, count);
		if (!param)
			param = find_param(
			        argument, length, shared_params, COUNT_OF(shared_params));
	}
	if (!param)
		bench_die("unknown argument '%s' (try --help)", argument);
	errno = 0;
	*param->value = strtoull(equals + 1, &end, 10);
	if (errno || end == equals + 1 || *end || equals[1] == '-')
		bench_die("'%s' is not a whole number", argument);
}

void bench_args(int argc, char **argv, const struct param *params, size_t count)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help")) {
			print_usage(params, count);
			print_usage(shared_params, COUNT_OF(shared_params));
			exit(0);
		}
		read_argument(argv[i], params, count);
	}
	if (!bench_threads || bench_threads > MAX_THREADS)
		bench_die("threads must be from 1 to %u", MAX_THREADS);
}

struct rng rng_stream(uint64_t index)
{
	/* A finaliser of two multiplications: neighbouring seeds give unrelated streams. */
	uint64_t x = bench_seed * UINT64_C(0x9e3779b97f4a7c15) + index + 1;

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	x ^= x >> 31;
	return (struct rng){x ? x : 1};
}

void *bench_map(size_t bytes)
{
	void *memory =
	        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		bench_die("mmap of %zu bytes: %s", bytes, strerror(errno));
	return memory;
}

void *bench_map_resident(size_t bytes)
{
	void *memory = bench_map(bytes);

	memset(memory, 1, bytes);
	KEEP(memory);
	return memory;
}

struct worker {
	void (*run)(unsigned index);
	unsigned index;
};

static void *worker_main(void *argument)
{
	struct worker *worker = argument;

	worker->run(worker->index);
	return NULL;
}

void bench_workers(unsigned count, void (*run)(unsigned index))
{
	static pthread_t handles[MAX_THREADS];
	static struct worker workers[MAX_THREADS];
	int error;

	for (unsigned i = 1; i < count; i++) {
		workers[i] = (struct worker){run, i};
		error = pthread_create(&handles[i], NULL, worker_main, &workers[i]);
		if (error)
			bench_die("pthread_create: %s", strerror(error));
	}
	run(0);
	for (unsigned i = 1; i < count; i++)
		pthread_join(handles[i], NULL);
}

uint64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t bench_proc_kib(const char *path, const char *field)
{
	char text[8192];
	const char *found;
	ssize_t length;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		bench_die("%s: %s", path, strerror(errno));
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[length > 0 ? length : 0] = 0;
	found = strstr(text, field);
	if (!found)
		bench_die("%s has no %s", path, field);
	return strtoull(found + strlen(field), NULL, 10);
}

uint64_t bench_status_kib(const char *field)
{
	return bench_proc_kib("/proc/self/status", field);
}

void measure_begin(struct measure *measure)
{
	getrusage(RUSAGE_SELF, &measure->usage);
	measure->wall_ns = now_ns();
}

static uint64_t microseconds(struct timeval time)
{
	return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_usec;
}

static struct timeval time_since(struct timeval end, struct timeval start)
{
	uint64_t us = microseconds(end) - microseconds(start);

	return (struct timeval){(time_t)(us / 1000000u), (suseconds_t)(us % 1000000u)};
}

void measure_end(struct measure *measure)
{
	struct rusage *start = &measure->usage;
	struct rusage end;

	measure->wall_ns = now_ns() - measure->wall_ns;
	getrusage(RUSAGE_SELF, &end);
	start->ru_utime = time_since(end.ru_utime, start->ru_utime);
	start->ru_stime = time_since(end.ru_stime, start->ru_stime);
	start->ru_minflt = end.ru_minflt - start->ru_minflt;
	start->ru_majflt = end.ru_majflt - start->ru_majflt;
}

/* The file that the program's malloc was bound to: the proof that the preload won. */
static const char *malloc_library(void)
{
	void *symbol = dlsym(RTLD_DEFAULT, "malloc");
	Dl_info info;

	if (!symbol || !dladdr(symbol, &info) || !info.dli_fname)
		return "unknown";
	return info.dli_fname;
}

void measure_print(
        const char *name, uint64_t ops, const struct measure *measure, const char *extra, ...)
{
	/* Not ru_maxrss: that one starts at the peak of the process that called exec. */
	uint64_t peak_kib = bench_status_kib("VmHWM:");
	const struct rusage *usage = &measure->usage;
	struct rusage total;
	va_list list;

	getrusage(RUSAGE_SELF, &total);
	printf("RESULT bench=%s threads=%llu seed=%llu ops=%llu wall_ns=%llu", name,
	        (unsigned long long)bench_threads, (unsigned long long)bench_seed,
	        (unsigned long long)ops, (unsigned long long)measure->wall_ns);
	printf(" user_us=%llu sys_us=%llu", (unsigned long long)microseconds(usage->ru_utime),
	        (unsigned long long)microseconds(usage->ru_stime));
	printf(" minflt=%ld majflt=%ld process_minflt=%ld peak_kib=%llu", usage->ru_minflt,
	        usage->ru_majflt, total.ru_minflt, (unsigned long long)peak_kib);
	if (extra && *extra) {
		putchar(' ');
		va_start(list, extra);
		vprintf(extra, list);
		va_end(list);
	}
	printf(" malloc_from=%s\n", malloc_library());
}
