/*
 * broken.h: how a fuzz target ends when something is wrong: one line, and abort() for libFuzzer to
 * see.
 */
#ifndef FUZZ_BROKEN_H
#define FUZZ_BROKEN_H

void broken(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
