/*
 * Guarded blocks (option guard_sample=1: every one, while there are slots): each mistake that can be
 * made with one is found, and the report names the functions that allocated it, freed it and did it.
 */
#include "api.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Functions whose addresses are known: each kind in a section that the linker gives names for. */
#define PLACE(kind) __attribute__((noinline, section("place_" #kind)))
#define PLACES(X) X(make) X(drop) X(touch)
#define BOUNDS(kind) extern const char __start_place_##kind[], __stop_place_##kind[];
PLACES(BOUNDS)

/* Keeps a call from being the last thing that a function does. */
#define STAY() __asm__ volatile("" ::: "memory")

enum { PAGE = 4096 };

static size_t size;
static char *block;

/* ---- Where it is done ----------------------------------------------------------------------- */

PLACE(make) static char *make(void)
{
	char *p = a_malloc(size);

	STAY();
	return p;
}

PLACE(make) static char *make_zeroed(void)
{
	char *p = a_calloc(1, size);

	STAY();
	return p;
}

PLACE(make) static char *make_aligned(void)
{
	char *p = a_aligned_alloc(64, size);

	STAY();
	return p;
}

PLACE(make) static char *make_resized(void)
{
	char *p = a_realloc(a_malloc(1), size);

	STAY();
	return p;
}

PLACE(drop) static void drop(void *p)
{
	a_free(p);
	STAY();
}

PLACE(touch) static void put(char *p, ptrdiff_t offset)
{
	*(volatile char *)(p + offset) = 1;
	STAY();
}

PLACE(touch) static void get(char *p, ptrdiff_t offset)
{
	(void)*(volatile char *)(p + offset);
	STAY();
}

PLACE(touch) static void drop_wrongly(void *p)
{
	a_free(p);
	STAY();
}

PLACE(touch) static void resize_wrongly(void *p)
{
	if (!a_realloc(p, 3 * size))
		STAY();
	STAY();
}

PLACE(touch) static void measure_wrongly(void *p)
{
	if (!a_usable_size(p))
		STAY();
	STAY();
}

PLACE(touch) static void drop_with_size(void *p)
{
	a_free_sized(p, size + 1);
	STAY();
}

PLACE(touch) static void verify(void)
{
	size_t (*check)(void);

	*(void **)&check = dlsym(RTLD_DEFAULT, "hak_verify");
#if TEST_FORM_HAK
	check = hak_verify;
#endif
	check();
	STAY();
}

/* A block that begins, or does not begin, with its page. */
static void make_at(bool left)
{
	do
		block = make();
	while (((uintptr_t)block % PAGE == 0) != left);
}

/* ---- Mistakes ------------------------------------------------------------------------------- */

static void read_after_free(void)
{
	block = make();
	drop(block);
	get(block, (ptrdiff_t)size / 2);
}

static void write_after_free(void)
{
	block = make();
	drop(block);
	put(block, (ptrdiff_t)size - 1);
}

static void zeroed_after_free(void)
{
	block = make_zeroed();
	drop(block);
	get(block, 0);
}

static void aligned_after_free(void)
{
	block = make_aligned();
	drop(block);
	get(block, 0);
}

static void resized_after_free(void)
{
	block = make_resized();
	drop(block);
	put(block, 0);
}

static void *drop_in_thread(void *p)
{
	drop(p);
	return NULL;
}

static void by_another_thread(void)
{
	pthread_t thread;

	block = make();
	CHECK(pthread_create(&thread, NULL, drop_in_thread, block) == 0, "pthread_create");
	pthread_join(thread, NULL);
}

static void freed_by_another(void)
{
	by_another_thread();
	get(block, 0);
}

static void moved_by_realloc(void)
{
	char *volatile other;

	block = make();
	other = a_realloc(block, size);
	put(block, 0);
	(void)other;
}

/* Behind a block at the end of its page lies what cannot be touched, up to what its alignment needs. */
static void read_behind(void)
{
	make_at(false);
	get(block, (ptrdiff_t)(size + 15) & ~15);
}

static void write_behind(void)
{
	make_at(false);
	put(block, (ptrdiff_t)(size + 15) & ~15);
}

static void read_far_behind(void)
{
	make_at(true);
	get(block, PAGE);
}

static void read_before(void)
{
	make_at(true);
	get(block, -1);
}

static void write_before(void)
{
	make_at(true);
	put(block, -1);
}

/* Where that page is accessible, it is seen by the free. */
static void written_behind(void)
{
	make_at(true);
	put(block, (ptrdiff_t)size);
	drop_wrongly(block);
}

static void written_far_behind(void)
{
	make_at(true);
	put(block, PAGE - 1);
	drop_wrongly(block);
}

static void written_before(void)
{
	make_at(false);
	put(block, -1);
	drop_wrongly(block);
}

static void written_and_verified(void)
{
	make_at(true);
	put(block, (ptrdiff_t)size + 10);
	verify();
}

static void twice(void)
{
	block = make();
	drop(block);
	drop_wrongly(block);
}

static void twice_by_threads(void)
{
	by_another_thread();
	drop_wrongly(block);
}

static void inside(void)
{
	block = make();
	drop_wrongly(block + 16);
}

static void misaligned(void)
{
	block = make();
	drop_wrongly(block + 1);
}

static void in_the_guard(void)
{
	make_at(true);
	drop_wrongly(block - 16);
}

static void resize_freed(void)
{
	block = make();
	drop(block);
	resize_wrongly(block);
}

static void measure_freed(void)
{
	block = make();
	drop(block);
	measure_wrongly(block);
}

static void wrong_size(void)
{
	block = make();
	drop_with_size(block);
}

static const struct mistake {
	const char *name;
	void (*body)(void);
	const char *words; /* in the first line */
	int signal;
	bool freed; /* there is a stack of a free */
	size_t least;
} mistakes[] = {
	{"read after free", read_after_free, "use after free: read at", SIGSEGV, true, 1},
	{"write after free", write_after_free, "use after free: write at", SIGSEGV, true, 1},
	{"calloc", zeroed_after_free, "use after free: read at", SIGSEGV, true, 1},
	{"aligned_alloc", aligned_after_free, "use after free: read at", SIGSEGV, true, 1},
	{"realloc", resized_after_free, "use after free: write at", SIGSEGV, true, 1},
	{"freed by another", freed_by_another, "use after free: read at", SIGSEGV, true, 1},
	{"moved by realloc", moved_by_realloc, "use after free: write at", SIGSEGV, false, 1},
	{"read behind", read_behind, "overflow: read at", SIGSEGV, false, 1},
	{"write behind", write_behind, "overflow: write at", SIGSEGV, false, 1},
	{"read far behind", read_far_behind, "overflow: read at", SIGSEGV, false, 1},
	{"read before", read_before, "underflow: read at", SIGSEGV, false, 1},
	{"write before", write_before, "underflow: write at", SIGSEGV, false, 1},
	{"written behind", written_behind, ": overflow: something was written", SIGABRT, false, 1},
	{"far behind", written_far_behind, ": overflow: something was written", SIGABRT, false, 1},
	{"written before", written_before, ": underflow: something was written", SIGABRT, false, 1},
	{"found by hak_verify", written_and_verified, "hak_verify(", SIGABRT, false, 1},
	{"free twice", twice, "double free: the block is free", SIGABRT, true, 1},
	{"free twice, threads", twice_by_threads, "double free: the block is free", SIGABRT, true,
		1},
	{"free inside", inside, "not the start of a block", SIGABRT, false, 17},
	{"free misaligned", misaligned, "not the start of a block", SIGABRT, false, 2},
	{"free in the guard", in_the_guard, "not the start of a block", SIGABRT, false, 1},
	{"realloc of a free block", resize_freed, "realloc(", SIGABRT, true, 1},
	{"size of a free block", measure_freed, "malloc_usable_size(", SIGABRT, true, 1},
};
enum { MISTAKES = sizeof mistakes / sizeof *mistakes };

/* ---- What is said --------------------------------------------------------------------------- */

static uintptr_t bias;

static int find_bias(struct dl_phdr_info *info, size_t bytes, void *unused)
{
	(void)bytes;
	(void)unused;
	bias = info->dlpi_addr;
	return 1; /* the first one is the program */
}

/* Is there a frame between `start` and `end` in the stack that begins with this line? */
static bool has_frame(const char *text, const char *head, const char *start, const char *end)
{
	const char *line = strstr(text, head);

	for (line = line ? strchr(line, '\n') : NULL; line && strstr(line, "    #") == line + 9;
		line = strchr(line + 1, '\n')) {
		const char *plus = strstr(line, "test_api_guard+0x");
		const char *next = strchr(line + 1, '\n');
		uintptr_t pc;

		if (!plus || (next && plus > next))
			continue;
		pc = bias + strtoul(plus + sizeof "test_api_guard+" - 1, NULL, 16);
		if (pc >= (uintptr_t)start && pc <= (uintptr_t)end)
			return true;
	}
	return false;
}

#define SAYS(head, kind) has_frame(child.text, head, __start_place_##kind, __stop_place_##kind)

static void start_child(struct child *child, const char *name, size_t bytes)
{
	char number[32];
	char *argv[] = {(char *)"test_api_guard", (char *)name, number, NULL};

	snprintf(number, sizeof number, "%zu", bytes);
	child_exec(child, argv, environ);
}

static void expect(const struct mistake *m, size_t bytes)
{
	static struct child child;
	char of[64];

	start_child(&child, m->name, bytes);
	CHECK(WIFSIGNALED(child.status) && WTERMSIG(child.status) == m->signal,
		"%s, %zu bytes: not signal %d: %s", m->name, bytes, m->signal, child_what(&child));
	snprintf(of, sizeof of, "a block of %zu bytes at 0x", bytes);
	CHECK(strncmp(child.text, "hakmem: ", 8) == 0 && strstr(child.text, m->words) &&
			strstr(child.text, m->words) < strchr(child.text, '\n') &&
			strstr(child.text, of) < strchr(child.text, '\n'),
		"%s, not \"%s\" of \"%s\": %s", m->name, m->words, of, child_what(&child));
	CHECK(SAYS("  allocated by thread ", make), "%s: not where it was allocated: %s", m->name,
		child_what(&child));
	CHECK(!m->freed || SAYS("  freed by thread ", drop), "%s: not where it was freed: %s",
		m->name, child_what(&child));
	CHECK(SAYS(m->signal == SIGSEGV ? "  done by thread " : "by thread ", touch) ||
			SAYS("  called by thread ", touch) || SAYS("  found by thread ", touch),
		"%s: not where it was done: %s", m->name, child_what(&child));
}

static void be_child(const char *name, const char *number)
{
	size = strtoul(number, NULL, 10);
	for (size_t i = 0; i < MISTAKES; i++)
		if (!strcmp(name, mistakes[i].name))
			mistakes[i].body();
	if (!strcmp(name, "wrong size"))
		wrong_size();
	_exit(0);
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = {1, 48, 100, 1000, 4000};
	static struct child child;

	api_begin();
	if (argc == 3)
		be_child(argv[1], argv[2]);
	setenv("HAKMEM_GUARD_SAMPLE", "1", 1);
	dl_iterate_phdr(find_bias, NULL);
	for (size_t i = 0; i < MISTAKES; i++)
		for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
			if (sizes[k] >= mistakes[i].least)
				expect(&mistakes[i], sizes[k]);
	start_child(&child, "wrong size", 100);
	CHECK(child_aborted(&child) &&
			strstr(child.text, "with a size of 101: 100 bytes were asked for"),
		"%s", child_what(&child));
	return 0;
}
