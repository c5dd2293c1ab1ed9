/*
 * place.h: what the programs share that ask the kernel where malloc's pages lie. Tables come from
 * mmap, so that only the blocks under test come from malloc.
 */
#ifndef VM_PLACE_H
#define VM_PLACE_H

#include <stddef.h>
#include <stdint.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

enum { NODES_MAX = 64, PAGE = 4096, BLOCK_MIN = 16 };
#define BLOCK_MAX (3 * MIB)

void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void *table(size_t bytes);

/* Nodes with processors, as the kernel numbers them. */
extern unsigned node_count;
extern int node_os[NODES_MAX];
void find_nodes(void);

/* Binds this thread to the processors of a node, by its place in node_os. */
void go_to(unsigned node);

/* Blocks of one thread: sizes from 16 bytes to 3 MiB, as many bytes in each octave of sizes. */
struct blocks {
	char **block;
	uint32_t *size;
	size_t count, most;
	uint64_t seed;
};
void blocks_init(struct blocks *b, size_t bytes, uint64_t seed);
/* Allocates that many bytes more and writes to all their pages. */
void blocks_fill(struct blocks *b, size_t bytes);
void blocks_free(struct blocks *b);

/* Pages of the blocks from number `from` on, by node; the last entry: not resident. */
struct pages {
	size_t on[NODES_MAX + 1], all;
};
void count_pages(const struct blocks *b, size_t from, struct pages *p);
double percent(const struct pages *p, int os);

/* Runs body(i) in `count` threads at a time and waits for them. */
void run_threads(unsigned count, void (*body)(unsigned));

/* Becomes the command, with calls that get and set policies failing with `error`. */
void run_denied(unsigned error, char **command) __attribute__((noreturn));

#endif
