/*
 * broken.c: see broken.h.
 */
#include "broken.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void broken(const char *format, ...)
{
	char line[300];
	va_list args;
	int n = snprintf(line, sizeof line, "fuzz: ");

	va_start(args, format);
	n += vsnprintf(line + n, sizeof line - (size_t)n, format, args);
	va_end(args);
	if (n > (int)sizeof line - 2)
		n = (int)sizeof line - 2;
	line[n++] = '\n';
	/* No call of write: a target may be catching those. */
	if (dprintf(STDERR_FILENO, "%.*s", n, line) < 0)
		_exit(2);
	abort();
}
