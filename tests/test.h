/*
 * test.h: what every API test stands on: checks that say what was expected, children whose stderr
 * is caught, resident memory, seeded patterns. Nothing here allocates by itself.
 */
#ifndef HAK_TEST_H
#define HAK_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

/* asan and tsan builds: slow, with shadow memory and an allocator of their own beside ours. */
#ifndef TEST_SANITIZED
#define TEST_SANITIZED 0
#endif
#ifdef HAK_TSAN
#define TEST_TSAN 1
#else
#define TEST_TSAN 0
#endif

/* Ends the test as failed, with one line saying where and why. */
void test_fail(const char *file, int line, const char *condition, const char *format, ...)
	__attribute__((noreturn, format(printf, 4, 5)));
/* Ends the test as skipped, with the reason. */
void test_skip(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* CHECK(condition, "what was seen %d", ...): the format is required, it is what helps. */
#define CHECK(condition, ...)                                                                      \
	do {                                                                                       \
		if (!(condition))                                                                  \
			test_fail(__FILE__, __LINE__, #condition, __VA_ARGS__);                    \
	} while (0)

/* A number that the compiler cannot see through: keeps its warnings and folding away. */
static inline size_t opaque(size_t value)
{
	volatile size_t copy = value;
	return copy;
}

/* splitmix64: a small generator; the state is the seed. */
static inline uint64_t rng_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Writes the pattern of `seed` over the block; pattern_ok says whether it is still there. */
void pattern_fill(void *block, size_t bytes, uint64_t seed);
bool pattern_ok(const void *block, size_t bytes, uint64_t seed);
bool all_zero(const void *block, size_t bytes);

/* Of a clock that only goes on. */
uint64_t now_ms(void);

/* A block is allocated, touched and freed: from one place in the program, so one site of big blocks. */
void use_block(void *(*allocate)(size_t), void (*release)(void *), size_t bytes);

/* Resident bytes of this process, and their highest value so far. */
size_t resident_bytes(void);

/* Has the kernel huge pages for whoever asks, three times quicker to touch than small ones? */
bool kernel_has_huge(void);
/* Page faults of this process that took no disk. */
uint64_t count_faults(void);

/* Threads of this process. */
int count_tasks(void);
/* Address space of the process. */
size_t space_bytes(void);
size_t resident_peak_bytes(void);

/* What became of a child: as waitpid, and what it wrote to stderr. */
struct child {
	int status;
	size_t bytes; /* in text, which ends with 0 */
	char text[16384];
};

/*
 * Runs body(argument) in a forked child with stderr caught; a body that returns exits with 0.
 * A child that takes more than a minute is killed by SIGALRM.
 */
void child_run(struct child *child, void (*body)(void *), void *argument);
/* The same with this very program started anew. */
void child_exec(struct child *child, char *const *argv, char *const *environment);

bool child_exited(const struct child *child, int code);
bool child_aborted(const struct child *child);
size_t child_lines(const struct child *child);
/* "exit status 1" and the like, and the caught text, for messages. */
const char *child_what(const struct child *child);

#ifdef __cplusplus
}
#endif
#endif
