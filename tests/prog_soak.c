/*
 * prog_soak: a program that goes on for long: threads that allocate blocks of 16 bytes to 8 MiB,
 * free each other's, end and are made anew, and children that fork off. It looks at its own
 * address space, mappings and resident memory all the while, prints them as a table, and fails when
 * one of them still grows after it has warmed up.
 *
 *   prog_soak SECONDS [LEAK]      LEAK: bytes never freed per turn of a thread, to see it fail
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 4, SLOTS = 512, TURNS = 20000, SAMPLES = 60, FORK_EVERY = 8 };

/* What may come on top of the highest value of the middle third: noise, not growth. */
enum { MORE_SPACE_KIB = 64 << 10, MORE_RESIDENT_KIB = 16 << 10, MORE_MAPPINGS = 24 };

static void *_Atomic slot[SLOTS];
static size_t leak;

struct sample {
	double at;
	long space, resident, tables, mappings; /* KiB, KiB, KiB, number */
};

static uint64_t draw(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	return z ^ (z >> 27);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Small ones mostly, a few big ones. */
static size_t draw_size(uint64_t *state)
{
	uint64_t d = draw(state);
	unsigned shift = d % 1000 < 3 ? 23 : d % 1000 < 30 ? 18 : 4 + (unsigned)(d >> 32) % 9;

	return 16 + (d >> 20) % ((size_t)1 << shift);
}

/* Takes from and puts into slots that all threads have in common; ends after a while. */
static void *work(void *seed)
{
	uint64_t state = (uintptr_t)seed;

	for (int i = 0; i < TURNS; i++) {
		size_t bytes = draw_size(&state);
		char *fresh = malloc(bytes);

		if (!fresh) {
			fprintf(stderr, "prog_soak: no memory for %zu bytes\n", bytes);
			exit(1);
		}
		fresh[0] = fresh[bytes - 1] = 1;
		free(atomic_exchange(&slot[draw(&state) % SLOTS], fresh));
		if (leak)
			memset(malloc(leak), 1, leak);
	}
	return NULL;
}

static void fork_one(void)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		for (int i = 0; i < SLOTS; i++)
			free(atomic_exchange(&slot[i], malloc(100)));
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
		fprintf(stderr, "prog_soak: a child failed\n");
		exit(1);
	}
}

static void look(struct sample *s, double begin)
{
	char line[512];
	FILE *file = fopen("/proc/self/status", "r");

	*s = (struct sample){.at = now() - begin};
	while (file && fgets(line, sizeof line, file)) {
		sscanf(line, "VmSize: %ld", &s->space);
		sscanf(line, "VmRSS: %ld", &s->resident);
		sscanf(line, "VmPTE: %ld", &s->tables);
	}
	if (file)
		fclose(file);
	file = fopen("/proc/self/maps", "r");
	while (file && fgets(line, sizeof line, file))
		s->mappings++;
	if (file)
		fclose(file);
	printf("%8.1f %12ld %12ld %10ld %9ld\n", s->at, s->space, s->resident, s->tables,
		s->mappings);
	fflush(stdout);
}

static long most(const struct sample *s, int from, int to, size_t field)
{
	long value = 0;

	for (int i = from; i < to; i++) {
		long other = *(const long *)((const char *)&s[i] + field);

		if (other > value)
			value = other;
	}
	return value;
}

/* The last third against the middle one. */
static int grown(const struct sample *s, const char *what, size_t field, long more)
{
	long middle = most(s, SAMPLES / 3, SAMPLES * 2 / 3, field);
	long last = most(s, SAMPLES * 2 / 3, SAMPLES, field);
	int bad = last > middle + middle / 20 + more;

	printf("%s: at most %ld in the middle third, %ld in the last: %s\n", what, middle, last,
		bad ? "it GROWS" : "flat");
	return bad;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 0, begin = now();
	static struct sample samples[SAMPLES];
	uint64_t rounds = 0;
	int bad = 0;

	if (!(seconds > 0)) {
		fprintf(stderr, "usage: prog_soak SECONDS [LEAK]\n");
		return 2;
	}
	leak = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	printf("%8s %12s %12s %10s %9s\n", "seconds", "space KiB", "resident KiB", "tables KiB",
		"mappings");
	for (int sample = 0; sample < SAMPLES;) {
		pthread_t thread[THREADS];

		for (uintptr_t i = 0; i < THREADS; i++)
			if (pthread_create(&thread[i], NULL, work,
				    (void *)(rounds * THREADS + i + 1)) != 0)
				return 1;
		for (int i = 0; i < THREADS; i++)
			pthread_join(thread[i], NULL);
		if (++rounds % FORK_EVERY == 0)
			fork_one();
		while (sample < SAMPLES && now() - begin >= seconds * (sample + 1) / SAMPLES)
			look(&samples[sample++], begin);
	}
	bad |= grown(samples, "address space, KiB", offsetof(struct sample, space), MORE_SPACE_KIB);
	bad |= grown(
		samples, "resident, KiB", offsetof(struct sample, resident), MORE_RESIDENT_KIB);
	bad |= grown(samples, "page tables, KiB", offsetof(struct sample, tables), 1024);
	bad |= grown(samples, "mappings", offsetof(struct sample, mappings), MORE_MAPPINGS);
	printf("prog_soak: %llu rounds of %d threads in %.0f s\n", (unsigned long long)rounds,
		THREADS, now() - begin);
	return bad;
}
