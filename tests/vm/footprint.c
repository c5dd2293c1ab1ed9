/*
 * footprint.c: how much memory a small program with threads occupies.
 *
 *   footprint [-k SCANS] STAGE
 *     start    8 threads, each with a few small blocks
 *     hold     8 threads, each with 512 KiB in blocks of many sizes
 *     sparse   8 threads, each with one in 16 left of 2 MiB in such blocks, and the rest freed
 *     crowd    100 threads, each with 40 KiB in such blocks
 *   -k  first lets khugepaged, which gathers pages into huge ones, look at all memory SCANS times
 *
 * Prints what is resident besides files, and what of it lies in huge pages, in KiB.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define SCANS_PATH "/sys/kernel/mm/transparent_hugepage/khugepaged/full_scans"

enum {
	THREADS_MAX = 100,
	/* Smaller than a huge page: what a stack takes is not the allocator's doing. */
	STACK_BYTES = 256 * 1024,
	BLOCKS_MAX = 4096,
	SCAN_SECONDS_MAX = 60,
	LURE_BYTES = 8 * 1024 * 1024,
};

struct stage {
	const char *name;
	unsigned threads;
	size_t bytes; /* of each thread */
	unsigned keep_one_in;
};

static const struct stage stages[] = {
	{"start", 8, 2048, 1},
	{"hold", 8, 512 * 1024, 1},
	{"sparse", 8, 2048 * 1024, 16},
	{"crowd", 100, 40 * 1024, 1},
};
static pthread_barrier_t reached, measured;

static void die(const char *what)
{
	fprintf(stderr, "footprint: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Reads a short file without the C library's buffers. */
static void read_text(const char *path, char *text, size_t bytes)
{
	int file = open(path, O_RDONLY);
	ssize_t got = file < 0 ? -1 : read(file, text, bytes - 1);

	if (got < 0)
		die(path);
	text[got] = 0;
	close(file);
}

static unsigned long field(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	if (!at) {
		fprintf(stderr, "footprint: no field %s\n", name);
		exit(1);
	}
	return strtoul(at + strlen(name), NULL, 10);
}

static void *thread_body(void *argument)
{
	const struct stage *stage = argument;
	static __thread void *blocks[BLOCKS_MAX];
	unsigned count = 0;
	uint32_t random = 1;

	for (size_t bytes = 0; bytes < stage->bytes && count < BLOCKS_MAX; count++) {
		random = random * 1664525 + 1013904223;
		size_t size = 16 + (random >> 16) % (random >> 31 ? 200 : 2000);

		blocks[count] = malloc(size);
		if (!blocks[count])
			die("malloc");
		memset(blocks[count], 1, size);
		bytes += size;
	}
	for (unsigned i = 0; i < count; i++)
		if (i % stage->keep_one_in)
			free(blocks[i]);
	pthread_barrier_wait(&reached);
	pthread_barrier_wait(&measured);
	return NULL;
}

/* khugepaged visits programs that have huge pages or could: this makes us one, for a while. */
static void wait_for_scans(unsigned long scans)
{
	struct timespec pause = {0, 50000000};
	char text[64], *place;
	unsigned long before;

	place = mmap(NULL, LURE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (place == MAP_FAILED)
		die("mmap");
	for (size_t at = 0; at < LURE_BYTES; at += LURE_BYTES / 4)
		place[at] = 1;
	read_text(SCANS_PATH, text, sizeof(text));
	before = strtoul(text, NULL, 10);
	for (int i = 0; i < SCAN_SECONDS_MAX * 20; i++) {
		nanosleep(&pause, NULL);
		read_text(SCANS_PATH, text, sizeof(text));
		if (strtoul(text, NULL, 10) >= before + scans) {
			munmap(place, LURE_BYTES);
			return;
		}
	}
	fprintf(stderr, "footprint: khugepaged does not look\n");
	exit(1);
}

static void run(const struct stage *stage, unsigned long scans)
{
	pthread_t thread[THREADS_MAX];
	pthread_attr_t attributes;
	char text[4096];

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	pthread_barrier_init(&reached, NULL, stage->threads + 1);
	pthread_barrier_init(&measured, NULL, stage->threads + 1);
	for (unsigned i = 0; i < stage->threads; i++) {
		errno = pthread_create(&thread[i], &attributes, thread_body, (void *)stage);
		if (errno)
			die("pthread_create");
	}
	pthread_barrier_wait(&reached);
	if (scans)
		wait_for_scans(scans);
	read_text("/proc/self/smaps_rollup", text, sizeof(text));
	pthread_barrier_wait(&measured);
	for (unsigned i = 0; i < stage->threads; i++)
		pthread_join(thread[i], NULL);
	printf("%lu %lu\n", field(text, "\nAnonymous:"), field(text, "\nAnonHugePages:"));
}

int main(int argc, char **argv)
{
	unsigned long scans = 0;
	int option;

	while ((option = getopt(argc, argv, "k:")) != -1) {
		if (option != 'k')
			return 2;
		scans = strtoul(optarg, NULL, 10);
	}
	for (size_t i = 0; i < sizeof(stages) / sizeof(*stages); i++) {
		if (optind < argc && strcmp(argv[optind], stages[i].name) == 0) {
			run(&stages[i], scans);
			return 0;
		}
	}
	fprintf(stderr, "footprint: no stage, or none of that name\n");
	return 2;
}
