/*
 * place_common.c: see place.h.
 */
#include "place.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

unsigned node_count;
int node_os[NODES_MAX];
static cpu_set_t node_cpus[NODES_MAX];

void die(const char *format, ...)
{
	va_list values;

	fputs("place: ", stderr);
	va_start(values, format);
	vfprintf(stderr, format, values);
	va_end(values);
	fputc('\n', stderr);
	exit(1);
}

void *table(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	return p;
}

static unsigned read_list(const char *path, cpu_set_t *set)
{
	FILE *file = fopen(path, "r");
	unsigned from, to, count = 0;

	CPU_ZERO(set);
	if (!file)
		return 0;
	while (fscanf(file, "%u", &from) == 1) {
		to = from;
		if (fscanf(file, "-%u", &to) != 1)
			to = from;
		for (; from <= to; from++, count++)
			CPU_SET(from, set);
		if (fgetc(file) != ',')
			break;
	}
	fclose(file);
	return count;
}

void find_nodes(void)
{
	char path[80];
	cpu_set_t allowed;

	sched_getaffinity(0, sizeof allowed, &allowed);
	for (int os = 0; os < NODES_MAX; os++) {
		snprintf(path, sizeof path, "/sys/devices/system/node/node%d/cpulist", os);
		read_list(path, &node_cpus[node_count]);
		CPU_AND(&node_cpus[node_count], &node_cpus[node_count], &allowed);
		if (CPU_COUNT(&node_cpus[node_count]))
			node_os[node_count++] = os;
	}
	if (!node_count)
		die("no nodes with processors");
}

void go_to(unsigned node)
{
	unsigned cpu, os;

	if (pthread_setaffinity_np(pthread_self(), sizeof(cpu_set_t), &node_cpus[node]) != 0)
		die("no processor of node %d", node_os[node]);
	while (getcpu(&cpu, &os) == 0 && (int)os != node_os[node])
		sched_yield();
}

static uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* Uniform over bytes, so half of them would be in the largest octave: by octaves instead. */
static size_t random_size(struct blocks *b)
{
	static const unsigned octaves = 18;
	uint64_t r = random_next(&b->seed);
	/* Of an octave twice as large, half as many blocks. */
	unsigned octave = (unsigned)__builtin_ctzl(r | (uint64_t)1 << (octaves - 1));
	/* The inverse: a small octave is the likeliest, and all get the same share of bytes. */
	size_t low = (size_t)BLOCK_MIN << octave;
	size_t size = low + (r >> 32) % low;

	return size < BLOCK_MAX ? size : BLOCK_MAX;
}

void blocks_init(struct blocks *b, size_t bytes, uint64_t seed)
{
	b->most = bytes / 64 + 1024;
	b->block = table(b->most * sizeof *b->block);
	b->size = table(b->most * sizeof *b->size);
	b->count = 0;
	b->seed = seed * 7919 + 1;
}

void blocks_fill(struct blocks *b, size_t bytes)
{
	for (size_t got = 0; got < bytes && b->count < b->most;) {
		size_t size = random_size(b);
		char *p = malloc(size);

		if (!p)
			die("malloc(%zu)", size);
		for (size_t at = 0; at < size; at += PAGE)
			p[at] = 1;
		p[size - 1] = 1;
		b->size[b->count] = (uint32_t)size;
		b->block[b->count++] = p;
		got += size;
	}
}

void blocks_free(struct blocks *b)
{
	for (size_t i = 0; i < b->count; i++)
		free(b->block[i]);
	b->count = 0;
}

static int by_address(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return x < y ? -1 : x > y;
}

static size_t list_pages(const struct blocks *b, size_t from, uintptr_t *page)
{
	size_t count = 0, kept = 0;

	for (size_t i = from; i < b->count; i++) {
		uintptr_t at = (uintptr_t)b->block[i] & -(uintptr_t)PAGE;

		for (; at < (uintptr_t)b->block[i] + b->size[i]; at += PAGE)
			page[count++] = at;
	}
	qsort(page, count, sizeof *page, by_address);
	for (size_t i = 0; i < count; i++)
		if (!i || page[i] != page[i - 1])
			page[kept++] = page[i];
	return kept;
}

void count_pages(const struct blocks *b, size_t from, struct pages *p)
{
	enum { BATCH = 1024 };
	static __thread int status[BATCH];
	size_t most = 0, count;
	uintptr_t *page;

	for (size_t i = from; i < b->count; i++)
		most += b->size[i] / PAGE + 2;
	page = table((most + 1) * sizeof *page);
	count = list_pages(b, from, page);
	for (size_t i = 0; i < count; i += BATCH) {
		size_t n = count - i < BATCH ? count - i : BATCH;

		if (syscall(SYS_move_pages, 0, n, page + i, NULL, status, 0) != 0)
			die("move_pages: %s", strerror(errno));
		for (size_t k = 0; k < n; k++)
			p->on[status[k] >= 0 && status[k] < NODES_MAX ? status[k] : NODES_MAX]++;
	}
	p->all += count;
	munmap(page, (most + 1) * sizeof *page);
}

double percent(const struct pages *p, int os)
{
	return p->all ? 100.0 * (double)p->on[os] / (double)p->all : 0;
}

struct call {
	pthread_t thread;
	void (*body)(unsigned);
	unsigned i;
};

static void *call_body(void *argument)
{
	struct call *c = argument;

	c->body(c->i);
	return NULL;
}

void run_threads(unsigned count, void (*body)(unsigned))
{
	struct call *calls = table(count * sizeof *calls);

	for (unsigned i = 0; i < count; i++) {
		calls[i] = (struct call){.body = body, .i = i};
		errno = pthread_create(&calls[i].thread, NULL, call_body, &calls[i]);
		if (errno)
			die("pthread_create: %s", strerror(errno));
	}
	for (unsigned i = 0; i < count; i++)
		pthread_join(calls[i].thread, NULL);
	munmap(calls, count * sizeof *calls);
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define DENY(call, error)                                                                          \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1),                                         \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))

void run_denied(unsigned error, char **command)
{
	struct sock_filter filter[] = {
		LOAD(nr),
		DENY(SYS_mbind, error),
		DENY(SYS_get_mempolicy, error),
		DENY(SYS_set_mempolicy, error),
		DENY(450 /* set_mempolicy_home_node */, error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		die("seccomp: %s", strerror(errno));
	execvp(command[0], command);
	die("%s: %s", command[0], strerror(errno));
}
