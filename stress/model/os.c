/*
 * os.c: the kernel as the models see it, in place of src/base/os.c, os_numa.c and
 * check.c. Memory is never refused, and given back by a write that nobody sees coming:
 * whoever accesses it without coming before or after that races.
 */
#include "internal.h"

#include "base/check.h"
#include "base/os.h"
#include "base/os_numa.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ARENA_BYTES ((size_t)1 << 30) /* of each thread */

struct os_counters os_counters;

static struct {
	uintptr_t start, at;
} arenas[MODEL_THREADS];

void *model_memory(size_t bytes, size_t align)
{
	unsigned t = running;
	if (!arenas[t].start) {
		void *p = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (p == MAP_FAILED) {
			perror("mmap");
			exit(2);
		}
		arenas[t].start = arenas[t].at = (uintptr_t)p;
	}
	uintptr_t start = align_up(arenas[t].at, align);
	if (start + bytes > arenas[t].start + ARENA_BYTES)
		model_fail("no memory is left");
	undo_log((uintptr_t)&arenas[t].at, sizeof arenas[t].at);
	arenas[t].at = start + bytes;
	return (void *)start;
}

static bool refused;

/* Its zeroes are the work of the thread that asks for it. */
static void *map(size_t bytes, size_t align)
{
	void *p = refused ? NULL : model_memory(bytes, align);
	if (p)
		model_write_range(p, bytes);
	return p;
}

void model_refuse_memory(bool refuse)
{
	refused = refuse;
}

size_t os_page_bytes(void)
{
	return 4096;
}

void *os_map(size_t bytes)
{
	return map(bytes, 4096);
}

void *os_reserve(size_t bytes, size_t align)
{
	return map(bytes, align);
}

void *os_map_aligned(size_t bytes, size_t align)
{
	return map(bytes, align);
}

bool os_unmap(void *start, size_t bytes)
{
	model_write_range(start, bytes);
	return true;
}

bool os_commit(void *start, size_t bytes)
{
	(void)start;
	(void)bytes;
	return true;
}

bool os_purge(void *start, size_t bytes)
{
	model_write_range(start, bytes);
	return true;
}

bool os_purged_lazily(void)
{
	return false;
}

bool os_purge_ranges(const struct iovec *ranges, size_t count)
{
	for (size_t i = 0; i < count; i++)
		model_write_range(ranges[i].iov_base, ranges[i].iov_len);
	return true;
}

void os_no_huge(void *start, size_t bytes)
{
	(void)start;
	(void)bytes;
}

void os_huge(void *start, size_t bytes)
{
	(void)start;
	(void)bytes;
}

bool os_is_mapped(const void *p)
{
	return p;
}

size_t os_address_space_limit(void)
{
	return SIZE_MAX;
}

uint64_t os_thread_faults(void)
{
	return 0;
}

uint32_t os_now_ms(void)
{
	return 1000;
}

uint64_t os_now_ns(void)
{
	return 1000000000;
}

void os_wait(_Atomic(uint32_t) *word, uint32_t value, unsigned ms)
{
	model_sleep(word, value, ms != 0);
}

void os_wake(_Atomic(uint32_t) *word)
{
	model_wake(word);
}

/* ---- One node, one processor -------------------------------------------------- */

bool os_nodes_allowed(struct os_nodes *allowed)
{
	(void)allowed;
	return false;
}

bool os_bind(
	void *start, size_t bytes, enum os_policy_mode mode, const struct os_nodes *n, int home)
{
	(void)start;
	(void)bytes;
	(void)mode;
	(void)n;
	(void)home;
	return true;
}

bool os_read_file(const char *path, char *text, size_t bytes)
{
	(void)path;
	(void)text;
	(void)bytes;
	return false;
}

/* ---- check.h ------------------------------------------------------------------ */

void report(const char *format, ...)
{
	model_fail("the library reports: %s", format);
}

void die(const char *format, ...)
{
	static char text[300];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	model_fail("the library dies: %s", text);
}

void blame(const char *format, ...)
{
	static char text[300];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	model_fail("the library blames the model: %s", text);
}

/* ---- The C library, of which models decide ------------------------------------- */

void *model_dlopen(const char *name, int flags);
void *model_dlsym(void *library, const char *name);
void __tsan_write4(void *p);
int model_pthread_key_create(unsigned *made, void (*destroy)(void *));
int model_pthread_setspecific(unsigned key, const void *value);

static void nothing(void)
{
}

static bool library_refused;

void model_refuse_library(bool refuse)
{
	library_refused = refuse;
}

void *model_dlopen(const char *name, int flags)
{
	(void)flags;
	return !library_refused && strncmp(name, "liburcu", 7) == 0 ? (void *)&arenas : NULL;
}

void *model_dlsym(void *library, const char *name)
{
	static const struct {
		const char *name;
		void (*function)(void);
	} known[] = {{"lock", model_rcu_lock}, {"unlock", model_rcu_unlock},
		{"synchronize_rcu", model_rcu_wait}};
	void (*function)(void) = nothing;
	(void)library;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strstr(name, known[i].name) && (i || !strstr(name, "unlock")))
			function = known[i].function;
	return (void *)(uintptr_t)function;
}

/* A key that was not made yet is never set. */
static unsigned keys;

int model_pthread_key_create(unsigned *made, void (*destroy)(void *))
{
	(void)destroy;
	undo_log((uintptr_t)&keys, sizeof keys);
	__tsan_write4(made);
	*made = ++keys;
	return 0;
}

int model_pthread_setspecific(unsigned key, const void *value)
{
	(void)value;
	if (key != 1)
		model_fail("a key that was not made is set");
	return 0;
}
