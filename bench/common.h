/*
 * common.h: what every benchmark program shares: arguments, a seeded random
 * generator, threads, measuring, and the one line of results for the runner.
 *
 * The programs call plain malloc and free, so LD_PRELOAD selects the
 * allocator. Their own tables come from bench_map(), never from malloc, so
 * that the harness adds nothing to what is measured.
 */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define PAGE_BYTES 4096u
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The compiler must assume that `pointer` and what it points at are used here. */
#define KEEP(pointer) __asm__ volatile("" : : "r"(pointer) : "memory")

/* ---- Arguments: name=value ---- */

struct param {
	const char *name;
	uint64_t *value;
	const char *help;
};

/* Every program takes these two as well. */
extern uint64_t bench_threads;
extern uint64_t bench_seed;

/* Reads the arguments into their variables; an error ends the program with status 2. */
void bench_args(int argc, char **argv, const struct param *params, size_t count);

/* Prints one line to stderr and ends the program with status 2. */
void bench_die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* ---- Random numbers ---- */

struct rng {
	uint64_t state;
};

/* The stream `index` of this run's seed. */
struct rng rng_stream(uint64_t index);

static inline uint64_t rng_next(struct rng *rng)
{
	uint64_t x = rng->state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	rng->state = x;
	return x * UINT64_C(0x2545f4914f6cdd1d);
}

/* 0 <= result < bound, bound below 2^32. */
static inline uint32_t rng_below(struct rng *rng, uint32_t bound)
{
	return (uint32_t)(((rng_next(rng) >> 32) * bound) >> 32);
}

static inline int is_power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

/* low <= result < high, both powers of two: every doubling is equally likely. */
static inline uint32_t rng_log(struct rng *rng, uint32_t low, uint32_t high)
{
	uint32_t doublings = (uint32_t)(__builtin_ctz(high) - __builtin_ctz(low));
	uint32_t base = low << rng_below(rng, doublings);

	return base + rng_below(rng, base);
}

/* ---- Memory ---- */

/* Zeroed memory from mmap; page faults are the caller's. */
void *bench_map(size_t bytes);

/* As bench_map, with every page resident. */
void *bench_map_resident(size_t bytes);

/* A block that malloc must be able to give. */
static inline void *bench_alloc(size_t bytes)
{
	void *block = malloc(bytes);

	if (!block)
		bench_die("malloc(%zu): %s", bytes, strerror(errno));
	KEEP(block);
	return block;
}

/* The use of a block: one store in every 4 KiB of it. */
static inline void bench_touch(void *block, size_t bytes)
{
	volatile unsigned char *byte = block;

	for (size_t i = 0; i < bytes; i += PAGE_BYTES)
		byte[i] = (unsigned char)bytes;
}

/* ---- Threads ---- */

/*
 * Runs worker(0) in this thread and worker(1..count-1) in new ones, and waits
 * for all: one worker leaves the process single-threaded.
 */
void bench_workers(unsigned count, void (*worker)(unsigned index));

/* The share of `total` that worker `index` of `count` has to do. */
static inline uint64_t bench_share(uint64_t total, unsigned index, unsigned count)
{
	return total / count + (index < total % count);
}

/* ---- Measuring ---- */

struct measure {
	uint64_t wall_ns;
	struct rusage usage;
};

uint64_t now_ns(void);

/* A field ("Rss:") of a file of /proc in KiB, read without malloc. */
uint64_t bench_proc_kib(const char *path, const char *field);

/* A field of /proc/self/status ("VmRSS:") in KiB. */
uint64_t bench_status_kib(const char *field);

void measure_begin(struct measure *measure);

/* Turns the start values in *measure into differences. */
void measure_end(struct measure *measure);

/*
 * Prints the line of results: the measured part, the peak of the whole
 * process, the library that malloc comes from, and `extra` ("name=value ...").
 */
void measure_print(const char *name, uint64_t ops, const struct measure *measure, const char *extra,
        ...) __attribute__((format(printf, 4, 5)));

#endif
