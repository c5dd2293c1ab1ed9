/*
 * Invalid pointers (stack, image, misaligned, non-canonical) end in one line on stderr and an
 * abort, from free, realloc and the sized frees alike.
 */
#include "api.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void release_function(void *block);

static void by_free(void *block)
{
	a_free(block);
}

static void by_realloc(void *block)
{
	block = a_realloc(block, 100);
	dprintf(1, "%p", block);
}

static void by_sized(void *block)
{
	a_free_sized(block, 16);
}

static _Alignas(64) char in_data[256] = "initialised";
static _Alignas(64) char in_bss[4096];
static const _Alignas(64) char in_text[256] = "read-only";
static release_function *release;
static int misaligned_by;
static size_t block_size;

static void stack_pointer(void *unused)
{
	_Alignas(64) char local[256] = "stack";

	(void)unused;
	release(local + 64);
}

static void *thread_body(void *unused)
{
	stack_pointer(unused);
	return NULL;
}

static void thread_stack_pointer(void *unused)
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, thread_body, unused) == 0, "pthread_create");
	pthread_join(thread, NULL);
}

static void fixed_pointer(void *pointer)
{
	a_free(a_malloc(100));
	release(pointer);
}

static void misaligned_pointer(void *unused)
{
	char *block = a_malloc(block_size);

	(void)unused;
	release(block + misaligned_by);
}

static int tried;

static void expect_abort(const char *what, void (*body)(void *), void *argument)
{
	struct child child;

	tried++;
	child_run(&child, body, argument);
	CHECK(child_aborted(&child), "%s: %s", what, child_what(&child));
	CHECK(child_lines(&child) == 1, "%s: not one line: %s", what, child_what(&child));
	CHECK(strncmp(child.text, "hakmem: ", 8) == 0, "%s: %s", what, child_what(&child));
	CHECK(child.text[child.bytes - 1] == '\n', "%s: the line does not end", what);
}

static void check_all(const char *how, release_function *function)
{
	static const uintptr_t non_canonical[] = {0x8000000000000000u, 0xdeadbeefdeadbee0u,
		0xffff800000000000u, 0xfffffffffffffff0u, 0x0000800000000000u, 0x0123456789abcd00u};
	static const size_t sizes[] = {24, 1000, 50000, 300000, 3 * MIB};
	char what[128];

	release = function;
	snprintf(what, sizeof what, "%s of the stack", how);
	expect_abort(what, stack_pointer, NULL);
	snprintf(what, sizeof what, "%s of a thread's stack", how);
	expect_abort(what, thread_stack_pointer, NULL);
	snprintf(what, sizeof what, "%s of data", how);
	expect_abort(what, fixed_pointer, in_data + 64);
	snprintf(what, sizeof what, "%s of bss", how);
	expect_abort(what, fixed_pointer, in_bss + 64);
	snprintf(what, sizeof what, "%s of constants", how);
	expect_abort(what, fixed_pointer, (char *)(uintptr_t)in_text + 64);
	for (size_t i = 0; i < sizeof non_canonical / sizeof *non_canonical; i++) {
		snprintf(what, sizeof what, "%s of %#zx", how, (size_t)non_canonical[i]);
		/* Not a constant: the compiler would object. */
		expect_abort(what, fixed_pointer, (void *)opaque(non_canonical[i]));
	}
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		block_size = sizes[i];
		for (misaligned_by = 1; misaligned_by < 16; misaligned_by += 7) {
			snprintf(what, sizeof what, "%s of a block of %zu, off by %d", how,
				sizes[i], misaligned_by);
			expect_abort(what, misaligned_pointer, NULL);
		}
	}
}

int main(void)
{
	api_begin();
	check_all("free", by_free);
	check_all("realloc", by_realloc);
	check_all("free_sized", by_sized);
	dprintf(1, "%d bad pointers tried, all reported\n", tried);
	return 0;
}
