/*
 * inside.h: for the targets that test from inside what reads text. Their files lie in memory, and what
 * the library says on standard error is caught: fuzz.mk has the linker send its os_read_file,
 * os_replace_file and write here.
 */
#ifndef FUZZ_INSIDE_H
#define FUZZ_INSIDE_H

#include "broken.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Not ended by 0. */
struct text {
	const char *at; /* NULL: there is no such file */
	size_t bytes;
};

/*
 * Files are all that there is: "@name" on a line of its own, and what follows up to the next line that
 * begins with '@'. Ends with a file named `last`; returns the bytes used.
 */
size_t files_set(const uint8_t *data, size_t bytes, const char *last);

/* The first of that name; slashes that follow each other are one. */
struct text file_named(const char *name);

/* The same as the library sees it: of up to `most` bytes without a 0, in `copy`, ended by 0. */
bool file_text(const char *name, char *copy, size_t most);

/* The library finds the files here, and below /sys/kernel/mm/transparent_hugepage. */
#define FILES_ROOT "/in"

/* A decimal number, huge ones as UINT64_MAX; *at moves behind it. False: there is none. */
bool number_at(const char **at, uint64_t *value);

/* What was written to standard error in between; ended by 0. said_end checks that each line is one. */
void said_begin(void);
unsigned said_end(void); /* lines */
extern char said[];

/* What the library has saved since `saved.at` was set to NULL. */
extern struct text saved;

#endif
