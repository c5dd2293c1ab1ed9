/*
 * fill.c: fills memory in a guest whose kernel limits it.
 *
 *   fill [-l] [-u UID] [-t THREADS] WHAT
 *     limit BYTES        blocks of BYTES until there are no more; all freed; the same again.
 *                        Prints the MiB that could be had the first time.
 *     hold MIB BYTES     that much in blocks of BYTES. Prints "held".
 *     cycle MIB          that much again and again, each time in blocks of another size and in
 *                        new threads. Prints "cycled".
 *     swing MIB          that much in middle blocks, in big ones, and so on: what one kind leaves is of
 *                        no use to the other. Prints "swung".
 *   -l  locks all memory, now and in the future    -u  goes on as another user
 *
 * Every block is written to, and what was written is checked before it is freed.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

enum { THREADS_MAX = 64, PAGE = 4096 };

/* The head of every block. */
struct block {
	struct block *next;
	size_t bytes;
};

struct filler {
	pthread_t thread;
	struct block *list;
	size_t bytes; /* of each block */
	size_t most;  /* bytes in all, SIZE_MAX: until there are no more */
	size_t got;
};

static unsigned threads = 1;
static int locked;

static void die(const char *what)
{
	fprintf(stderr, "fill: %s: %s\n", what, strerror(errno));
	exit(1);
}

static char mark_of(const struct block *b, size_t at)
{
	return (char)((uintptr_t)b >> 4 ^ at >> 12 ^ b->bytes);
}

/* The marks lie in the last byte of each page of the block's size, and in its last byte. */
static void mark(struct block *b, int check)
{
	char *p = (char *)b;

	for (size_t at = sizeof(*b); at < b->bytes; at += PAGE) {
		size_t end = at + PAGE < b->bytes ? at + PAGE - 1 : b->bytes - 1;

		if (!check) {
			p[end] = mark_of(b, end);
		} else if (p[end] != mark_of(b, end)) {
			fprintf(stderr, "fill: a block of %zu bytes was overwritten\n", b->bytes);
			exit(1);
		}
	}
}

static void *fill_thread(void *argument)
{
	struct filler *f = argument;

	while (f->got < f->most) {
		errno = 0;
		struct block *b = malloc(f->bytes);

		if (!b) {
			/* glibc passes on what mmap says about the limit of locked memory. */
			if (f->most != SIZE_MAX ||
				(errno != ENOMEM && !(locked && errno == EAGAIN)))
				die("malloc");
			break;
		}
		b->next = f->list;
		b->bytes = f->bytes;
		mark(b, 0);
		f->list = b;
		f->got += f->bytes;
	}
	return NULL;
}

static void empty(struct filler *f)
{
	while (f->list) {
		struct block *b = f->list;

		f->list = b->next;
		mark(b, 1);
		free(b);
	}
	f->got = 0;
}

/* All threads fill at the same time; returns what they got. The blocks stay when they end. */
static size_t fill_all(struct filler *fillers, size_t bytes, size_t most)
{
	size_t got = 0;

	for (unsigned i = 0; i < threads; i++) {
		fillers[i].bytes = bytes;
		fillers[i].most = most;
		errno = pthread_create(&fillers[i].thread, NULL, fill_thread, &fillers[i]);
		if (errno)
			die("pthread_create");
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(fillers[i].thread, NULL);
		got += fillers[i].got;
	}
	return got;
}

static void empty_all(struct filler *fillers)
{
	for (unsigned i = 0; i < threads; i++)
		empty(&fillers[i]);
}

static void run_limit(struct filler *fillers, size_t bytes)
{
	size_t first = fill_all(fillers, bytes, SIZE_MAX);
	size_t second;

	empty_all(fillers);
	second = fill_all(fillers, bytes, SIZE_MAX);
	if (second < first / 10 * 9) {
		fprintf(stderr, "fill: %zu KiB the first time, %zu KiB the second\n", first / 1024,
			second / 1024);
		exit(1);
	}
	empty_all(fillers);
	printf("%zu\n", first / MIB);
}

static void run_cycle(struct filler *fillers, size_t most)
{
	static const size_t sizes[] = {100, 3000, 50000, 700, 300000, 20000, 1000000, 64};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		fill_all(fillers, sizes[i], most / threads);
		empty_all(fillers);
	}
	printf("cycled\n");
}

static void run_swing(struct filler *fillers, size_t most)
{
	for (unsigned i = 0; i < 8; i++) {
		fill_all(fillers, i % 2 ? 3000000 : 200000, most / threads);
		empty_all(fillers);
	}
	printf("swung\n");
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = text ? strtoul(text, &end, 10) : 0;
	if (!text || errno || end == text || *end || value == 0) {
		fprintf(stderr, "fill: '%s' is not a positive number\n", text ? text : "");
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	static struct filler fillers[THREADS_MAX];
	int option;
	uid_t user = 0;

	while ((option = getopt(argc, argv, "lu:t:")) != -1) {
		if (option == 'l')
			locked = 1;
		else if (option == 'u')
			user = (uid_t)number(optarg);
		else if (option == 't')
			threads = (unsigned)number(optarg);
		else
			return 2;
	}
	if (optind == argc || threads > THREADS_MAX) {
		fprintf(stderr, "fill: nothing to do, or too many threads\n");
		return 2;
	}
	if (user && setresuid(user, user, user) != 0)
		die("setresuid");
	if (locked && mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
		die("mlockall");
	argv += optind;
	if (strcmp(argv[0], "limit") == 0) {
		run_limit(fillers, number(argv[1]));
	} else if (strcmp(argv[0], "hold") == 0) {
		fill_all(fillers, number(argv[2]), number(argv[1]) * MIB / threads);
		empty_all(fillers);
		printf("held\n");
	} else if (strcmp(argv[0], "cycle") == 0) {
		run_cycle(fillers, number(argv[1]) * MIB);
	} else if (strcmp(argv[0], "swing") == 0) {
		run_swing(fillers, number(argv[1]) * MIB);
	} else {
		fprintf(stderr, "fill: %s: not limit, hold, cycle or swing\n", argv[0]);
		return 2;
	}
	return 0;
}
