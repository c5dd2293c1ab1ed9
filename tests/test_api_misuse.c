/*
 * What a program can do wrong with blocks: each mistake ends in one line that says what and names
 * the pointer, and an abort. Bad pointers that were never blocks: test_api_invalid.c.
 */
#include "api.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifdef HAK_TINY
#define TEST_TINY 1
#else
#define TEST_TINY 0
#endif

enum { HELD = 100 };

static size_t size;
static char *held[HELD];
/* What the child is about to pass, for the parent to find in the line. */
static void **passed;

static void *pass(void *block)
{
	*passed = block;
	return block;
}

/* Blocks of one size, so that a page is in use. */
static void hold(void)
{
	for (int i = 0; i < HELD; i++) {
		held[i] = a_malloc(size);
		memset(held[i], 0x11, size < 64 ? size : 64);
	}
}

static void use(void *block)
{
	dprintf(1, "%s", block ? "" : "none");
}

/* Takes more blocks than are free in the pages of those held. */
static void take_all(void)
{
	for (size_t i = 0; i < 100 + 200000 / size; i++)
		use(a_malloc(size));
}

/* ---- Mistakes ------------------------------------------------------------------------------- */

static void twice_at_once(void *unused)
{
	(void)unused;
	hold();
	a_free(held[50]);
	a_free(pass(held[50]));
}

static void twice_with_others_between(void *unused)
{
	(void)unused;
	hold();
	for (int i = 20; i < 40; i++)
		a_free(held[i]);
	a_free(pass(held[25]));
}

static void twice_after_a_write(void *unused)
{
	(void)unused;
	hold();
	a_free(held[20]);
	memset(pass(held[20]), 0x22, 16);
	a_free(held[20]);
	take_all();
}

static void *free_it(void *block)
{
	a_free(block);
	return NULL;
}

static void in_thread(void *block)
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, free_it, block) == 0, "pthread_create");
	pthread_join(thread, NULL);
}

/* At the latest when the block comes home to its page. */
static void by_two_threads(void *unused)
{
	(void)unused;
	hold();
	in_thread(held[3]);
	in_thread(pass(held[3]));
	take_all();
}

static void by_another_then_here(void *unused)
{
	(void)unused;
	hold();
	in_thread(pass(held[3]));
	a_free(held[3]);
	take_all();
}

static void here_then_by_another(void *unused)
{
	(void)unused;
	hold();
	a_free(held[3]);
	in_thread(pass(held[3]));
	take_all();
}

static void twice_by_realloc(void *unused)
{
	(void)unused;
	hold();
	a_free(held[7]);
	use(a_realloc(pass(held[7]), size * 4));
}

static void resized_and_freed(void *unused)
{
	(void)unused;
	hold();
	use(a_realloc(held[7], size * 4));
	a_free(pass(held[7]));
}

static void measured_when_free(void *unused)
{
	(void)unused;
	hold();
	a_free(held[7]);
	dprintf(1, "%zu", a_usable_size(pass(held[7])));
}

static void inside(void *unused)
{
	(void)unused;
	hold();
	a_free(pass(held[50] + 16));
}

static void inside_by_another(void *unused)
{
	(void)unused;
	hold();
	in_thread(pass(held[50] + 16));
}

static void inside_by_realloc(void *unused)
{
	(void)unused;
	hold();
	use(a_realloc(pass(held[50] + 16), 1));
}

/* The first block of the class: what follows was not made yet. */
static void never_handed_out(void *unused)
{
	char *first = a_malloc(size);
	size_t bytes = a_usable_size(first);

	(void)unused;
	a_free(pass(first + (8192 / bytes + 1) * bytes));
}

static void link_written(void *unused)
{
	(void)unused;
	hold();
	a_free(held[50]);
	memset(pass(held[50]), 0x41, 16);
	take_all();
}

/* Its link only: the secure build sees that the next one cannot be. */
static void link_word_written(void *unused)
{
	(void)unused;
	hold();
	a_free(held[50]);
	memset(pass(held[50]), 0x41, 8);
	take_all();
}

/* The block before it was written beyond its end. */
static void overrun(void *unused)
{
	(void)unused;
	hold();
	size_t bytes = a_usable_size(held[0]);

	for (int i = 0; i < HELD * HELD && !*passed; i++) {
		char *before = held[i / HELD], *after = held[i % HELD];

		if (after != before + bytes)
			continue;
		a_free(pass(after));
		memset(before, 0x42, bytes + 16);
	}
	take_all();
}

static void big_twice(void *unused)
{
	char *block = a_malloc(size);

	(void)unused;
	use(a_malloc(size));
	a_free(block);
	a_free(pass(block));
}

static void big_inside(void *unused)
{
	char *block = a_malloc(size);

	(void)unused;
	a_free(pass(block + 4096));
}

static void mapping(void *unused)
{
	char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)unused;
	a_free(pass(p + 8192));
}

static void nothing_there(void *unused)
{
	char *p = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)unused;
	munmap(p, 1 << 20);
	a_free(pass(p + 8192));
}

/* ---- Sizes ---------------------------------------------------------------------------------- */

static size_t said;

static void sized(void *unused)
{
	(void)unused;
	hold();
	a_free_sized(pass(held[4]), said);
}

static void sized_aligned(void *unused)
{
	(void)unused;
	a_free_aligned_sized(pass(a_aligned_alloc(256, size)), 256, said);
}

#if !TEST_FORM_HAK
static void deleted(void *unused)
{
	void *(*new)(size_t);
	void (*delete)(void *, size_t);

	(void)unused;
	*(void **)&new = dlsym(RTLD_DEFAULT, "_Znwm");
	*(void **)&delete = dlsym(RTLD_DEFAULT, "_ZdlPvm");
	CHECK(new &&delete, "no operators");
	delete (pass(new (size)), said);
}
#endif

/* ---- What must come of them ----------------------------------------------------------------- */

static int tried;
static bool secure;

/* Words are alternatives, with a bar between. */
static bool says(const char *text, const char *words)
{
	char word[128];
	size_t length;

	for (; *words; words += length + (words[length] == '|')) {
		length = strcspn(words, "|");
		snprintf(word, sizeof word, "%.*s", (int)length, words);
		if (strstr(text, word))
			return true;
	}
	return false;
}

static void expect(const char *what, void (*body)(void *), const char *words)
{
	struct child child;
	char pointer[32];

	*passed = NULL;
	child_run(&child, body, NULL);
	tried++;
	snprintf(pointer, sizeof pointer, "%p", *passed);
	CHECK(child_aborted(&child) && child_lines(&child) == 1, "%s, %zu bytes: %s", what, size,
		child_what(&child));
	CHECK(strncmp(child.text, "hakmem: ", 8) == 0 && says(child.text, words) &&
			strstr(child.text, pointer),
		"%s, %zu bytes, not \"%s\" of %s: %s", what, size, words, pointer,
		child_what(&child));
	CHECK(strstr(child.text, "called from "), "%s: not from where: %s", what,
		child_what(&child));
}

static void small_blocks(void)
{
	expect("free twice", twice_at_once, "double free");
	expect("free twice, others between", twice_with_others_between, "double free");
	expect("free twice, written between", twice_after_a_write, "freed twice");
	expect("free by two other threads", by_two_threads, "freed twice|double free");
	expect("free by another thread, then here", by_another_then_here,
		"freed twice|double free");
	expect("free here, then by another thread", here_then_by_another,
		"freed twice|double free");
	expect("realloc after free", twice_by_realloc, "double free");
	expect("malloc_usable_size after free", measured_when_free, "double free");
	expect("free after realloc moved it", resized_and_freed, "double free");
	expect("a block never handed out", never_handed_out, "never handed out");
	expect("written after free", link_written, "was written to");
	if (size >= 32) {
		expect("free inside a block", inside, "not the start of a block");
		expect("free inside a block, by another", inside_by_another,
			"not the start of a block");
		expect("realloc inside a block", inside_by_realloc, "not the start of a block");
	}
	if (secure)
		expect("link written after free", link_word_written, "was written to");
	if (size < 4000)
		expect("written beyond its end", overrun, "was written to");
}

static void sizes(void)
{
	size = 1000;
	said = 100;
	expect("free_sized, too small", sized, "block of 1024 bytes");
	said = 1100;
	expect("free_sized, too large", sized, "block of 1024 bytes");
	said = 100000;
	expect("free_sized, much too large", sized, "block of 1024 bytes");
	said = 100;
	expect("free_aligned_sized, too small", sized_aligned, "block of 1024 bytes");
#if !TEST_FORM_HAK
	expect("sized delete, too small", deleted, "block of 1024 bytes");
	said = 900;
	expect("sized delete, a class less", deleted, "block of 1024 bytes");
	said = 3 << 20;
	expect("sized delete, much too large", deleted, "block of 1024 bytes");
	size = 3 << 20;
	said = 100;
	expect("sized delete of a big block", deleted, "block of 3145728 bytes");
#endif
	size = 100000;
	said = 20000;
	expect("free_sized of a mid block", sized, "block of 106496 bytes");
}

/* What is right must stay so. */
static void allowed(void *unused)
{
	(void)unused;
	for (size = 1; size < 5000000; size += size / 5 + 1) {
		char *block = a_malloc(size);

		a_free_sized(block, size);
		block = a_malloc(size);
		for (size_t to = size; to > size / 3; to -= to / 7 + 1) {
			block = a_realloc(block, to);
			a_free_sized(a_realloc(a_malloc(size), to), to);
		}
		a_free(block);
		for (size_t align = 16; align <= 4 << 20; align *= 2)
			a_free_aligned_sized(a_aligned_alloc(align, size), align, size);
	}
	a_free_sized(NULL, 10);
	a_free_sized(a_malloc(0), 0);
}

int main(void)
{
	static const size_t smalls[] = {16, 24, 100, 1000, 5000, 20000, 50000};
	static const size_t bigs[] = {70000, 1000000, 3000000, 800000000};
	const char *build = getenv("HAK_TEST_BUILD");
	/* Pages of the tiny build hold smaller blocks only. */
	size_t most = TEST_TINY || (build && !strcmp(build, "tiny")) ? 14000 : 50000;
	struct child child;

	secure = build && !strcmp(build, "secure");
	api_begin();
	passed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(passed != MAP_FAILED, "mmap");
	child_run(&child, allowed, NULL);
	CHECK(child_exited(&child, 0), "right sizes: %s", child_what(&child));
	for (size_t i = 0; i < sizeof smalls / sizeof *smalls && smalls[i] <= most; i++) {
		size = smalls[i];
		small_blocks();
	}
	for (size_t i = 0; i < sizeof bigs / sizeof *bigs; i++) {
		size = bigs[i];
		expect("free of a big block twice", big_twice, "double free");
		expect("free inside a big block", big_inside, "no block|start of the block");
	}
	expect("free of a mapping", mapping, "not a block");
	expect("free where nothing is", nothing_there, "no memory is there");
	sizes();
	dprintf(1, "%d mistakes tried, all reported\n", tried);
	return 0;
}
