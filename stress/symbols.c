/*
 * symbols.c: see suspend.h. A local symbol belongs to the file whose name was
 * said last before it; what this program's own files define, hidden names
 * included, is not the allocator's, and of the public names those with hak_ are.
 */
#include "common.h"
#include "suspend.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SHOWN = 12 };

struct function {
	uintptr_t start, end;
	const char *name;
	bool allocator;
	unsigned met;
};

static struct function *functions;
static size_t count;

static int find_base(struct dl_phdr_info *info, size_t bytes, void *base)
{
	(void)bytes;
	*(uintptr_t *)base = info->dlpi_addr;
	return 1; /* the program is the first */
}

static bool is_ours(const char *file)
{
	static const char *const others[] = {"common.c", "item.c", "symbols.c", "crtstuff.c", ""};

	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (strcmp(file, others[i]) == 0)
			return false;
	return strncmp(file, "stress_", 7) != 0 && strstr(file, "crt") == NULL;
}

static int by_start(const void *a, const void *b)
{
	const struct function *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static void read_table(const char *file, const Elf64_Shdr *table, const char *names)
{
	const Elf64_Sym *s = (const void *)(file + table->sh_offset);
	size_t n = table->sh_size / sizeof *s;
	const char *source = "";
	uintptr_t base = 0;

	dl_iterate_phdr(find_base, &base);
	functions = calloc(n, sizeof *functions);
	for (size_t i = 0; functions != NULL && i < n; i++) {
		const char *name = names + s[i].st_name;
		bool local = ELF64_ST_BIND(s[i].st_info) == STB_LOCAL;

		if (ELF64_ST_TYPE(s[i].st_info) == STT_FILE)
			source = name;
		if (ELF64_ST_TYPE(s[i].st_info) != STT_FUNC || s[i].st_size == 0)
			continue;
		functions[count++] =
			(struct function){base + s[i].st_value, base + s[i].st_value + s[i].st_size,
				name, local ? is_ours(source) : strncmp(name, "hak_", 4) == 0, 0};
	}
}

void symbols_read(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct stat st;
	const char *file;
	const Elf64_Ehdr *head;
	const Elf64_Shdr *sections;
	size_t allocator = 0;

	if (fd < 0 || fstat(fd, &st) != 0)
		fail("/proc/self/exe cannot be read");
	/* Stays mapped: the names are in it. */
	file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (file == MAP_FAILED)
		fail("/proc/self/exe cannot be mapped");
	close(fd);
	head = (const void *)file;
	sections = (const void *)(file + head->e_shoff);
	for (unsigned i = 0; i < head->e_shnum; i++)
		if (sections[i].sh_type == SHT_SYMTAB)
			read_table(
				file, &sections[i], file + sections[sections[i].sh_link].sh_offset);
	for (size_t i = 0; i < count; i++)
		allocator += functions[i].allocator;
	if (allocator < 100)
		fail("%zu functions of the allocator in the symbol table", allocator);
	qsort(functions, count, sizeof *functions, by_start);
}

static struct function *find(uintptr_t address)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (functions[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && functions[low].start <= address ? &functions[low] : NULL;
}

bool symbols_is_allocator(uintptr_t address, bool met)
{
	struct function *f = find(address);

	if (f != NULL && met)
		f->met++;
	return f != NULL && f->allocator;
}

const char *symbols_name(uintptr_t address)
{
	const struct function *f = find(address);

	return f != NULL ? f->name : "?";
}

void symbols_print(void)
{
	struct function *most;
	unsigned different = 0, below = UINT32_MAX;

	for (size_t i = 0; i < count; i++)
		different += functions[i].allocator && functions[i].met > 0;
	printf("  in %u functions of the allocator:", different);
	for (unsigned shown = 0; shown < SHOWN; shown++) {
		most = NULL;
		for (size_t i = 0; i < count; i++)
			if (functions[i].allocator && functions[i].met > 0 &&
				functions[i].met < below &&
				(most == NULL || functions[i].met > most->met))
				most = &functions[i];
		if (most == NULL)
			break;
		below = most->met;
		printf(" %s %u", most->name, most->met);
	}
	printf("\n");
}
