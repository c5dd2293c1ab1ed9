/*
 * check.h: what happens when something is wrong. Owns the one place that
 * prints and the one that aborts. Nothing here allocates.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include "base/base.h"

/* One line "hakmem: ..." on standard error. Formats as printf, up to 500 bytes. */
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* report(), then abort. */
_Noreturn COLD void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * The same, with the place in the program from which this library was called.
 * For mistakes of the program.
 */
_Noreturn COLD void blame(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes text to a descriptor, all of it if the descriptor takes it. */
void write_all(int fd, const char *text, size_t bytes);

/* Always on, for what would corrupt memory; the condition has no side effect. */
#define CHECK(cond, ...)                                                                           \
	do {                                                                                       \
		if (unlikely(!(cond)))                                                             \
			blame(__VA_ARGS__);                                                        \
	} while (0)

/* In debug builds only. */
#if HAK_DEBUG
#define ASSERT(cond)                                                                               \
	do {                                                                                       \
		if (unlikely(!(cond)))                                                             \
			die("%s:%d: internal error: %s", __FILE__, __LINE__, #cond);               \
	} while (0)
#else
#define ASSERT(cond) ((void)sizeof(!(cond)))
#endif

#endif
