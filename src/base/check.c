/*
 * check.c: reports and aborts. vsnprintf does not allocate for the plain
 * conversions used here.
 */
#include "base/check.h"

#include "base/stack.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE_BYTES 512

void write_all(int fd, const char *text, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = write(fd, text, bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		text += n;
		bytes -= (size_t)n;
	}
}

static void report_va(const char *format, va_list args)
{
	char line[LINE_BYTES] = "hakmem: ";
	const size_t prefix = 8;
	int n = vsnprintf(line + prefix, sizeof line - prefix - 1, format, args);
	for (char *c = line + prefix; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = '?'; /* one report is one line, whatever it quotes */
	size_t used = n < 0 ? 0 : min_size((size_t)n, sizeof line - prefix - 2);
	line[prefix + used] = '\n';
	write_all(STDERR_FILENO, line, prefix + used + 1);
}

void report(const char *format, ...)
{
	int saved = errno;
	va_list args;
	va_start(args, format);
	report_va(format, args);
	va_end(args);
	errno = saved;
}

void die(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	report_va(format, args);
	va_end(args);
	abort();
}

void blame(const char *format, ...)
{
	char text[LINE_BYTES], place[96];
	uintptr_t caller;
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (stack_take(&caller, 1) == 0)
		die("%.380s", text);
	stack_name(caller, place, sizeof place);
	die("%.380s; called from %s", text, place);
}
