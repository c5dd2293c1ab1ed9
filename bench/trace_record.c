/*
 * trace_record.c: a library to preload that writes down when, where and by which
 * thread a program allocates and frees blocks of 64 KiB and more; the format is in
 * policy_trace.h. Whatever malloc comes next does the work.
 *
 *     TRACE_FILE=redis.trace LD_PRELOAD=trace_record.so redis-server ...
 *
 * A realloc is a free and an allocation. One lock guards the record: big blocks are
 * rare. The file is written as the process ends by exit; children of fork write none.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BIG_BYTES 65536u
#define EVENTS_MAX (1u << 22)
#define BLOCKS_BITS 18u
#define BLOCKS_MAX (1u << BLOCKS_BITS)
#define SITES_MAX 1024u

struct event {
	uint64_t us;
	uint32_t slot, kib;
	uint16_t thread, site;
};

/* A live block; the table is searched from the hash of its address on. */
struct entry {
	void *block; /* NULL: none */
	uint32_t slot;
};

static struct {
	pthread_mutex_t lock;
	struct event *events;
	struct entry *blocks;
	uint32_t *slots; /* free ones */
	uintptr_t sites[SITES_MAX];
	uint32_t event_count, slot_count, free_slots, live;
	uint16_t site_count, thread_count;
	uint64_t begin_us;
	pid_t pid;
	int full;
} record = {.lock = PTHREAD_MUTEX_INITIALIZER};

static __thread uint16_t thread_number __attribute__((tls_model("initial-exec")));

static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);
static void (*next_free)(void *);
static int (*next_posix_memalign)(void **, size_t, size_t);
static void *(*next_aligned_alloc)(size_t, size_t);
static void *(*next_memalign)(size_t, size_t);
static size_t (*next_usable)(void *);

/* dlsym may allocate before anything is known. */
static char early[65536] __attribute__((aligned(16)));
static size_t early_used;

static void *early_alloc(size_t bytes)
{
	void *block = early + early_used;

	early_used += (bytes + 15) & ~(size_t)15;
	if (early_used > sizeof(early))
		_exit(127);
	return block;
}

static int is_early(const void *block)
{
	return (const char *)block >= early && (const char *)block < early + sizeof(early);
}

static void *map(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		_exit(127);
	return memory;
}

static uint64_t now_us(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_nsec / 1000u;
}

static void set(void *function, const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	memcpy(function, &found, sizeof(found));
}

static __attribute__((constructor)) void init(void)
{
	static int begun;

	if (begun++)
		return;
	set(&next_calloc, "calloc");
	set(&next_realloc, "realloc");
	set(&next_free, "free");
	set(&next_posix_memalign, "posix_memalign");
	set(&next_aligned_alloc, "aligned_alloc");
	set(&next_memalign, "memalign");
	set(&next_usable, "malloc_usable_size");
	record.events = map(EVENTS_MAX * sizeof(*record.events));
	record.blocks = map(BLOCKS_MAX * sizeof(*record.blocks));
	record.slots = map(BLOCKS_MAX * sizeof(*record.slots));
	record.begin_us = now_us();
	record.pid = getpid();
	set(&next_malloc, "malloc");
}

static uint32_t home(const void *block)
{
	uint64_t hash = (uint64_t)(uintptr_t)block * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)(hash >> (64 - BLOCKS_BITS));
}

static struct entry *find(const void *block)
{
	uint32_t at = home(block);

	while (record.blocks[at].block != block && record.blocks[at].block)
		at = (at + 1) % BLOCKS_MAX;
	return &record.blocks[at];
}

/* What follows moves up, where its home allows it, so that no search ends at the gap. */
static void forget(struct entry *entry)
{
	uint32_t gap = (uint32_t)(entry - record.blocks), at = gap;

	while (record.blocks[at = (at + 1) % BLOCKS_MAX].block) {
		uint32_t from_home = (at - home(record.blocks[at].block)) % BLOCKS_MAX;

		if (from_home < (at - gap) % BLOCKS_MAX)
			continue;
		record.blocks[gap] = record.blocks[at];
		gap = at;
	}
	record.blocks[gap].block = NULL;
}

static uint16_t site_of(uintptr_t caller)
{
	for (uint16_t i = 0; i < record.site_count; i++)
		if (record.sites[i] == caller)
			return i;
	if (record.site_count == SITES_MAX)
		return 0;
	record.sites[record.site_count] = caller;
	return record.site_count++;
}

static void add_event(uint32_t slot, size_t bytes, uint16_t site)
{
	if (record.event_count == EVENTS_MAX) {
		record.full = 1;
		return;
	}
	if (!thread_number)
		thread_number = ++record.thread_count;
	record.events[record.event_count++] = (struct event){now_us() - record.begin_us, slot,
		(uint32_t)((bytes + 1023) >> 10), (uint16_t)(thread_number - 1), site};
}

static void *allocated(void *block, size_t bytes, const void *caller)
{
	struct entry *entry;

	if (bytes < BIG_BYTES || !block)
		return block;
	pthread_mutex_lock(&record.lock);
	entry = find(block);
	if (record.live < BLOCKS_MAX / 2 && !record.full) {
		entry->block = block;
		entry->slot =
			record.free_slots ? record.slots[--record.free_slots] : record.slot_count++;
		record.live++;
		add_event(entry->slot, bytes, site_of((uintptr_t)caller));
	} else {
		record.full = 1;
	}
	pthread_mutex_unlock(&record.lock);
	return block;
}

static void freed(void *block)
{
	struct entry *entry;

	if (!block || next_usable(block) < BIG_BYTES)
		return;
	pthread_mutex_lock(&record.lock);
	entry = find(block);
	if (entry->block) {
		record.slots[record.free_slots++] = entry->slot;
		record.live--;
		add_event(entry->slot, 0, 0);
		forget(entry);
	}
	pthread_mutex_unlock(&record.lock);
}

void *malloc(size_t bytes)
{
	if (!next_malloc) {
		init();
		if (!next_malloc)
			return early_alloc(bytes);
	}
	return allocated(next_malloc(bytes), bytes, __builtin_return_address(0));
}

void *calloc(size_t count, size_t bytes)
{
	if (!next_malloc) {
		init();
		if (!next_malloc)
			return early_alloc(count * bytes);
	}
	return allocated(next_calloc(count, bytes), count * bytes, __builtin_return_address(0));
}

void free(void *block)
{
	int saved = errno;

	if (!block || is_early(block))
		return;
	freed(block);
	next_free(block);
	errno = saved;
}

void *realloc(void *block, size_t bytes)
{
	void *moved;

	if (is_early(block)) {
		moved = malloc(bytes);
		return moved ? memcpy(moved, block, bytes) : NULL;
	}
	if (!next_malloc)
		return malloc(bytes);
	freed(block);
	moved = next_realloc(block, bytes);
	if (!moved && block && bytes)
		return NULL; /* the old block is lost to the record: its end will not be seen */
	return allocated(moved, bytes, __builtin_return_address(0));
}

int posix_memalign(void **block, size_t align, size_t bytes)
{
	int error = next_posix_memalign(block, align, bytes);

	if (!error)
		allocated(*block, bytes, __builtin_return_address(0));
	return error;
}

void *aligned_alloc(size_t align, size_t bytes)
{
	return allocated(next_aligned_alloc(align, bytes), bytes, __builtin_return_address(0));
}

void *memalign(size_t align, size_t bytes)
{
	return allocated(next_memalign(align, bytes), bytes, __builtin_return_address(0));
}

static void write_trace(FILE *file)
{
	uint64_t before = record.event_count ? record.events[0].us : 0;

	fprintf(file, "hakmem-trace 1\nthreads %u\nslots %u\nevents %u\nrun %" PRIu64 "\n",
		record.thread_count, record.slot_count, record.event_count,
		now_us() - record.begin_us - before + 1);
	for (uint32_t i = 0; i < record.event_count; i++) {
		const struct event *e = &record.events[i];

		fprintf(file, "%" PRIu64 " %c %u %u", e->us - before, e->kib ? 'a' : 'f', e->thread,
			e->slot);
		if (e->kib)
			fprintf(file, " %u %u", e->kib, e->site);
		fputc('\n', file);
		before = e->us;
	}
}

static __attribute__((destructor)) void save(void)
{
	const char *name = getenv("TRACE_FILE");
	FILE *file;

	if (!name || record.pid != getpid() || !record.event_count)
		return;
	file = fopen(name, "we");
	if (!file) {
		fprintf(stderr, "trace_record: %s: %s\n", name, strerror(errno));
		return;
	}
	write_trace(file);
	if (fclose(file))
		fprintf(stderr, "trace_record: %s: %s\n", name, strerror(errno));
	if (record.full)
		fprintf(stderr, "trace_record: %s: more than it can hold, the end is missing\n",
			name);
}
