/*
 * hak_mistake: makes one mistake with a block of the hak_* functions, for tools that look for such (see
 * main), or none: then it does what a program may do.
 */
#include "hakmem.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES = 100, BIG_BYTES = 3 << 20, BLOCKS = 300, ROUNDS = 3 };

static char *volatile block, *volatile other;
static volatile char seen;
static void *volatile kept;

static char *filled(size_t size)
{
	char *p = hak_malloc(size);

	if (!p)
		exit(3);
	memset(p, 1, size);
	return p;
}

static void read_freed(size_t size)
{
	block = filled(size);
	hak_free(block);
	seen = block[size / 2];
}

static void write_freed(void)
{
	block = filled(BYTES);
	hak_free(block);
	block[8] = 2;
}

/* Of a whole class, so that nothing is left over behind it. */
static void write_behind(size_t size)
{
	block = filled(size);
	other = filled(size);
	block[size] = 2;
	hak_free(block);
	hak_free(other);
}

static void write_before(void)
{
	other = filled(BYTES);
	block = filled(BYTES);
	*(block < other ? other - 1 : block - 1) = 2;
	hak_free(block);
	hak_free(other);
}

static void read_unset(void)
{
	block = hak_malloc(BYTES);
	if (block[50] == 7)
		puts("seven");
	hak_free(block);
}

static void read_moved(void)
{
	block = filled(BYTES);
	other = hak_realloc(block, 2 * BYTES);
	seen = block[10];
	hak_free(other);
}

static void free_twice(void)
{
	block = filled(BYTES);
	hak_free(block);
	hak_free(block);
}

static void leak(size_t size)
{
	block = filled(size);
	block = NULL;
}

static void read_destroyed(void)
{
	hak_heap *heap = hak_heap_create();

	block = hak_heap_alloc(heap, BYTES, 0, HAK_ZERO);
	hak_heap_destroy(heap);
	seen = block[10];
}

static void fill_and_free(hak_heap *heap, unsigned seed)
{
	static const size_t sizes[] = {0, 1, 16, 24, 64, 100, 1000, 5000, 60000, 200000, BIG_BYTES};
	char *blocks[BLOCKS];

	for (unsigned i = 0; i < BLOCKS; i++) {
		size_t size = sizes[(i + seed) % (i % 30 ? 8 : 11)], align = (size_t)16 << i % 5;
		char *p = heap ? hak_heap_alloc(heap, size, align, HAK_ZERO)
			       : hak_alloc(size, align, HAK_ZERO);

		if (!p || (uintptr_t)p % align || (size && (p[0] || p[size - 1])))
			exit(4);
		memset(p, (int)i, size);
		if (hak_usable_size(p) < size)
			exit(5);
		if (!heap && i % 3 == 0) {
			p = hak_realloc(p, size + size / 2 + 1);
			if (!p || (size && p[size - 1] != (char)i))
				exit(6);
		}
		blocks[i] = p;
	}
	for (unsigned i = 0; i < BLOCKS; i++)
		if (!heap || i % 2)
			hak_free(blocks[(i * 7 + seed) % BLOCKS]);
}

static void *work(void *seed)
{
	volatile size_t most = SIZE_MAX;
	void *p = NULL;

	for (unsigned round = 0; round < ROUNDS; round++)
		fill_and_free(NULL, (unsigned)(uintptr_t)seed + round);
	hak_free(p);
	if (hak_posix_memalign(&p, 4096, BYTES) != 0 || hak_posix_memalign(&p, 3, BYTES) != EINVAL)
		exit(7);
	hak_free_aligned_sized(p, 4096, BYTES);
	hak_free_sized(filled(BYTES), BYTES);
	if (hak_calloc(most, 2) || hak_malloc(most) || hak_reallocarray(NULL, most, 2))
		exit(8);
	return filled(BYTES); /* freed by another thread */
}

static void none(void)
{
	pthread_t threads[2];
	hak_heap *heap = hak_heap_create();
	void *given;

	fill_and_free(heap, 1);
	hak_heap_destroy(heap);
	/* Blocks of this thread wait to be freed when others begin to free theirs. */
	for (unsigned i = 0; i < 4; i++)
		fill_and_free(NULL, i);
	for (uintptr_t i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)i) != 0)
			exit(9);
	hak_helper_start();
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(threads[i], &given);
		hak_free(given);
	}
	hak_purge();
	hak_verify();
	/* Nothing but a block of ours knows where these are. */
	kept = hak_calloc(1, sizeof(void *));
	*(void **)kept = malloc(BYTES);
	other = hak_calloc(1, BIG_BYTES);
	*(void **)(void *)other = malloc(BYTES);
}

int main(int argc, char **argv)
{
	const char *mistake = argc == 2 ? argv[1] : "";

	if (!strcmp(mistake, "read"))
		read_freed(BYTES);
	else if (!strcmp(mistake, "read-big"))
		read_freed(BIG_BYTES);
	else if (!strcmp(mistake, "write"))
		write_freed();
	else if (!strcmp(mistake, "behind"))
		write_behind(BYTES);
	else if (!strcmp(mistake, "behind-class"))
		write_behind(64);
	else if (!strcmp(mistake, "behind-big"))
		write_behind(BIG_BYTES);
	else if (!strcmp(mistake, "before"))
		write_before();
	else if (!strcmp(mistake, "unset"))
		read_unset();
	else if (!strcmp(mistake, "moved"))
		read_moved();
	else if (!strcmp(mistake, "twice"))
		free_twice();
	else if (!strcmp(mistake, "leak"))
		leak(BYTES);
	else if (!strcmp(mistake, "leak-big"))
		leak(BIG_BYTES);
	else if (!strcmp(mistake, "leak-libc"))
		block = malloc(BYTES), block = NULL;
	else if (!strcmp(mistake, "destroyed"))
		read_destroyed();
	else if (!strcmp(mistake, "none"))
		none();
	else
		return 2;
	return 0;
}
