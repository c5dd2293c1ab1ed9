/*
 * prog_mistake: makes one mistake with a block of malloc's, for tools that look for such:
 * read (after free), write (behind the end), leak, or none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *volatile block;

int main(int argc, char **argv)
{
	const char *mistake = argc == 2 ? argv[1] : "";
	char *volatile other = realloc(malloc(10), 100000);
	volatile char seen = 0;

	free(other);
	block = malloc(100);
	memset(block, 1, 100);
	if (!strcmp(mistake, "read")) {
		free(block);
		seen = block[10];
	} else if (!strcmp(mistake, "write")) {
		block[100] = 1;
		free(block);
	} else if (!strcmp(mistake, "leak")) {
		block = NULL;
	} else if (!strcmp(mistake, "none")) {
		free(block);
	} else {
		fprintf(stderr, "usage: prog_mistake read|write|leak|none\n");
		return 2;
	}
	(void)seen;
	return 0;
}
