/*
 * residency.h: how much memory a program that has gone idle still holds, and
 * the pages that it could not do without. Nothing here calls malloc.
 */
#ifndef BENCH_RESIDENCY_H
#define BENCH_RESIDENCY_H

#include <stddef.h>
#include <stdint.h>

/* Arguments that every program which samples takes. */
extern uint64_t idle_s;
extern uint64_t idle_notify;
/* clang-format off */
#define IDLE_PARAMS \
	{"idle", &idle_s, "seconds of idleness, at most 10"}, \
	{"notify", &idle_notify, "descriptor that gets a byte when it begins; 0: none"}
/* clang-format on */

/*
 * Resident memory with page tables, in KiB. Pages given up by MADV_FREE count
 * until the kernel takes them: a container's limit counts them too.
 */
uint64_t resident_kib(void);

/* bench_map_resident, and its pages and page tables are left out of all samples. */
void *residency_table(size_t bytes);

/* resident_kib without the tables. */
uint64_t residency_kib(void);

/*
 * Samples residency_kib at 0, 1, 2, 5 and 10 seconds while the other threads
 * sleep, and what they, and threads of the allocator's, do meanwhile.
 */
void residency_idle(void);

/* "resident_0s=... idle_cpu_us=... idle_switches=..." for measure_print; valid until the next. */
const char *residency_text(void);

/* A set of 4 KiB pages: how many different ones the blocks added to it touch. */
struct page_set {
	uintptr_t *pages;
	size_t slots; /* power of two */
	size_t count;
};

/* `most` is an upper bound of the pages that will be added. */
void page_set_init(struct page_set *set, size_t most);
void page_set_add(struct page_set *set, const void *block, size_t bytes);

#endif
