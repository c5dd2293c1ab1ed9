/*
 * Every system call that takes, changes or gives back memory fails, each at every occurrence in turn,
 * once or from then on, in a child of its own that runs a fixed script over all kinds of operations. An
 * operation may then fail, with ENOMEM and nothing changed; never may a block lose its contents, a
 * count be wrong or memory be lost, and afterwards everything works as if nothing had been.
 */
#include "hakmem.h"

#include "base/base.h"
#include "base/options.h"
#include "numa/topology.h"
#include "segments/limits.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#if !HAK_SANITIZE

#include "faults.h"
#include "made_up_node.h"

/* ---- What the script holds ------------------------------------------------------------------ */

enum { SLOTS = 160, SAMPLES = 8 };

static struct slot {
	unsigned char *p;
	size_t size, usable;
} slots[SLOTS];
static unsigned injected_seen;
static uint64_t heap_blocks, heap_bytes; /* what a first-class heap itself takes */

static void __attribute__((format(printf, 1, 2), noreturn)) wrong(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(told->why, sizeof told->why, format, args);
	va_end(args);
	_exit(1);
}

static unsigned char pattern(const struct slot *s, size_t at)
{
	return (unsigned char)((at >> 8) * 31 + at * 7 + (size_t)(s - slots) + 1);
}

/* Every byte of a small block; of a big one the first and last, and some between. */
static size_t next_at(const struct slot *s, size_t at)
{
	size_t step = s->size <= 4096 ? 1 : s->size / SAMPLES;

	return at + step >= s->size && at + 1 < s->size ? s->size - 1 : at + step;
}

static void fill(struct slot *s)
{
	for (size_t at = 0; at < s->size; at = next_at(s, at))
		s->p[at] = pattern(s, at);
}

static void check(const struct slot *s, size_t bytes)
{
	for (size_t at = 0; at < bytes && at < s->size; at = next_at(s, at))
		if (s->p[at] != pattern(s, at))
			wrong("slot %d of %zu bytes is damaged at %zu", (int)(s - slots), s->size,
				at);
}

static void check_all(const char *when)
{
	struct hak_stats stats;
	uint64_t live = heap_bytes, blocks = heap_blocks;

	for (struct slot *s = slots; s < slots + SLOTS; s++) {
		if (!s->p)
			continue;
		check(s, s->size);
		live += s->usable;
		blocks++;
	}
	hak_verify();
	hak_stats(&stats, sizeof stats);
	if (stats.live_blocks != blocks || stats.live != live)
		wrong("%s: %llu bytes live in %llu blocks, not %llu in %llu", when,
			(unsigned long long)stats.live, (unsigned long long)stats.live_blocks,
			(unsigned long long)live, (unsigned long long)blocks);
	if (stats.pooled > stats.mapped || stats.mapped > stats.reserved ||
		stats.cached > stats.mapped)
		wrong("%s: pooled %llu, cached %llu, mapped %llu, reserved %llu", when,
			(unsigned long long)stats.pooled, (unsigned long long)stats.cached,
			(unsigned long long)stats.mapped, (unsigned long long)stats.reserved);
}

/* After each operation; looks at everything when a call has failed in it. */
static void after(const char *what)
{
	if (told->injected != injected_seen) {
		injected_seen = told->injected;
		check_all(what);
	}
}

/* The result of an operation that gives memory: false when it failed, as it should. */
static bool got(struct slot *s, void *p, size_t size, const char *what)
{
	if (!p) {
		if (errno != ENOMEM)
			wrong("%s of %zu bytes failed with errno %d", what, size, errno);
		if (told->injected == injected_seen && !(faulty && fault.lasting && told->injected))
			wrong("%s of %zu bytes failed, and no call did", what, size);
		told->refused++;
		after(what);
		return false;
	}
	s->p = p;
	s->size = size;
	s->usable = hak_usable_size(p);
	fill(s);
	after(what);
	return true;
}

static void put(struct slot *s)
{
	if (!s->p)
		return;
	check(s, s->size);
	errno = 77;
	hak_free(s->p);
	s->p = NULL;
	if (errno != 77)
		wrong("free changed errno to %d", errno);
	after("free");
}

static void get(struct slot *s, size_t size)
{
	put(s);
	errno = 0;
	got(s, hak_malloc(size), size, "malloc");
}

static void get_aligned(struct slot *s, size_t align, size_t size)
{
	put(s);
	errno = 0;
	if (got(s, hak_aligned_alloc(align, size), size, "aligned_alloc") &&
		(uintptr_t)s->p % align)
		wrong("%p is not aligned to %zu", (void *)s->p, align);
}

static void get_zeroed(struct slot *s, size_t size)
{
	unsigned char *p;

	put(s);
	errno = 0;
	p = hak_calloc(1, size);
	for (size_t at = 0; p && at < size; at += size <= 65536 ? 1 : 65536)
		if (p[at])
			wrong("calloc of %zu bytes is not zero at %zu", size, at);
	got(s, p, size, "calloc");
}

static void resize(struct slot *s, size_t size)
{
	size_t old = s->size;
	unsigned char *p;

	if (!s->p)
		return;
	errno = 0;
	p = hak_realloc(s->p, size);
	if (p) {
		s->p = p;
		check(s, old < size ? old : size);
	}
	got(s, p, size, "realloc");
}

/* ---- The script ----------------------------------------------------------------------------- */

static void all_sizes(void)
{
	for (unsigned i = 0; i < 60; i++)
		get(&slots[i], (size_t)16 + i * i * 12);
	for (unsigned i = 60; i < 80; i++)
		get(&slots[i], SMALL_MAX + (i - 59) * (MID_MAX - SMALL_MAX) / 20);
	for (unsigned i = 80; i < 86; i++)
		get(&slots[i], (i - 79) * GRANULE_BYTES + 5000);
	get(&slots[86], WHALE_REGION_MAX + GRANULE_BYTES);
	for (unsigned i = 90; i < 100; i++)
		get_aligned(&slots[i], (size_t)64 << (i - 90) * 2, 3000 * (i - 89));
	for (unsigned i = 100; i < 110; i++)
		get_zeroed(&slots[i], (size_t)40 << (i - 100) * 2);
}

static void resizes(void)
{
	static const size_t to[] = {100, 3000, SMALL_MAX + 1, MID_MAX / 2, MID_MAX + 1,
		3 * GRANULE_BYTES, 12 * GRANULE_BYTES, WHALE_REGION_MAX + 4096,
		WHALE_REGION_MAX + 9 * GRANULE_BYTES, WHALE_REGION_MAX + GRANULE_BYTES,
		7 * GRANULE_BYTES, 2 * GRANULE_BYTES + 4096, MID_MAX / 3, 200};

	get(&slots[120], 20);
	for (size_t i = 0; i < sizeof to / sizeof *to; i++) {
		resize(&slots[120], to[i]);
		get(&slots[121 + i], i % 2 ? 4 * GRANULE_BYTES : 777);
	}
	for (unsigned i = 0; i < 110; i += 3)
		resize(&slots[i], slots[i].size * 3 / 2 + 1);
	for (unsigned i = 1; i < 110; i += 3)
		resize(&slots[i], slots[i].size / 2 + 1);
}

static void first_class(void)
{
	static const size_t sizes[] = {
		30, 500, 9000, SMALL_MAX + 9, MID_MAX - 9, 3 * GRANULE_BYTES};
	struct hak_stats before, made;
	hak_heap *heap;

	hak_stats(&before, sizeof before);
	errno = 0;
	heap = hak_heap_create();
	hak_stats(&made, sizeof made);
	if (!heap && made.live != before.live)
		wrong("hak_heap_create failed and left %llu bytes",
			(unsigned long long)(made.live - before.live));
	heap_bytes = made.live - before.live;
	heap_blocks = made.live_blocks - before.live_blocks;
	if (!heap && (errno != ENOMEM || !told->injected))
		wrong("hak_heap_create failed with errno %d", errno);
	after("hak_heap_create");
	for (unsigned i = 0; heap && i < 18; i++) {
		errno = 0;
		got(&slots[140 + i], hak_heap_alloc(heap, sizes[i % 6], 0, 0), sizes[i % 6],
			"hak_heap_alloc");
	}
	for (unsigned i = 0; i < 18; i += 2)
		put(&slots[140 + i]);
	hak_heap_destroy(heap);
	heap_bytes = heap_blocks = 0;
	for (unsigned i = 0; i < 18; i++)
		slots[140 + i].p = NULL;
	after("hak_heap_destroy");
}

static void give_back(void)
{
	for (unsigned i = 0; i < SLOTS; i += 2)
		put(&slots[i]);
	hak_purge();
	after("hak_purge");
	hak_option_set("purge_bytes", "0");
	for (unsigned i = 1; i < SLOTS; i += 4)
		put(&slots[i]);
	all_sizes();
	hak_option_set("purge_bytes", "32M");
	hak_option_set("limit", "soft:1M");
	for (unsigned i = 0; i < 40; i++)
		get(&slots[i + 110], 100000);
	hak_option_set("limit", "none");
}

static void free_all(void)
{
	for (unsigned i = 0; i < SLOTS; i++)
		put(&slots[i]);
}

static void script(void)
{
	all_sizes();
	resizes();
	first_class();
	give_back();
	check_all("before all is freed");
	free_all();
	check_all("after all was freed");
}

static unsigned resident_kib(void)
{
	unsigned long unused, pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file || fscanf(file, "%lu %lu", &unused, &pages) != 2)
		wrong("/proc/self/statm");
	fclose(file);
	return (unsigned)(pages * 4);
}

/* With the fault, and once more without: then nothing may fail, and as little be left as ever. */
static void child(void)
{
	alarm(60);
	/* To clear huge pages takes most of the time. */
	if (fault.call != MADVISE || fault.error != ENOMEM || fault.lasting)
		prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	/* Some blocks are guarded, so that their calls are among those that fail. */
	store_rlx(&options.x_guard_sample, 20);
	faulty = true;
	script();
	hak_purge();
	faulty = false;
	unsigned refused = told->refused;
	script();
	if (told->refused != refused)
		wrong("operations failed afterwards");
	hak_purge();
	check_all("after the last purge");
	told->resident_kib = resident_kib();
	_exit(0);
}

/* ---- All faults ----------------------------------------------------------------------------- */

static unsigned bad, least_resident;
enum { RESIDENT_SLACK_KIB = 1024 };

static bool run(const struct fault *f)
{
	int status = 0;
	pid_t pid;

	memset(told, 0, sizeof *told);
	fault = *f;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		child();
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		abort();
	if (status == 0 && least_resident &&
		told->resident_kib > least_resident + RESIDENT_SLACK_KIB) {
		snprintf(told->why, sizeof told->why, "%u KiB are resident at the end, not %u",
			told->resident_kib, least_resident);
		status = 1;
	}
	if (status == 0)
		return true;
	fprintf(stderr, "%s number %u%s fails with %s: %s (status %#x)\n", calls[f->call].name,
		f->nth, f->lasting ? " and all later" : "", strerrorname_np(f->error), told->why,
		status);
	bad++;
	return false;
}

static void all_faults_of(enum call call, unsigned made)
{
	unsigned runs = 0, injected = 0, refused = 0;

	for (unsigned lasting = 0; lasting < 2; lasting++)
		for (unsigned e = 0; e < 6 && calls[call].errors[e]; e++) {
			/* Each occurrence with the first error; samples of what is much the same. */
			unsigned step = made / (lasting || e ? 4 : 48) + 1;

			for (unsigned n = 1; n <= made; n += step) {
				struct fault f = {call, calls[call].errors[e], n, lasting};

				run(&f);
				runs++;
				injected += told->injected;
				refused += told->refused;
			}
		}
	printf("%-16s %4u calls, %5u runs, %6u failed, %5u operations refused\n", calls[call].name,
		made, runs, injected, refused);
}

int main(void)
{
	struct fault none = {CALLS, 0, 0, false};
	unsigned made[CALLS];

	told = __real_mmap(
		NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (told == MAP_FAILED || !make_up_node())
		return 1;
	if (!run(&none))
		return 1; /* found without any fault */
	least_resident = told->resident_kib;
	memcpy(made, told->made, sizeof made);
	for (enum call c = 0; c < CALLS; c++)
		all_faults_of(c, made[c]);
	return bad ? 1 : 0;
}

#else

int main(void)
{
	fprintf(stderr, "the sanitizers have calls of their own in place of these\n");
	return 77;
}

#endif
