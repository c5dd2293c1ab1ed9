/*
 * prog_reuse.c: a block of 2 MiB, allocated, touched once and freed again, as often as it is told:
 * for counting instructions.
 */
#include <stdlib.h>

int main(int argc, char **argv)
{
	for (long n = argc > 1 ? atol(argv[1]) : 0; n > 0; n--) {
		volatile char *p = malloc(2 << 20);

		if (!p)
			return 1;
		*p = 1;
		free((void *)p);
	}
	return 0;
}
