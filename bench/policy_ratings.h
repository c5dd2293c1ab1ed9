/*
 * policy_ratings.h: a thread that writes down ten times a second what the library has
 * learned. It uses CPU time of the process: not for runs whose cost counts.
 */
#ifndef BENCH_POLICY_RATINGS_H
#define BENCH_POLICY_RATINGS_H

/* From now on, for as long as the process lives; nothing under a library that learns nothing. */
void ratings_start(void);

/* Prints "RATING ms class choice_kib matches r0 ... r11" lines. */
void ratings_print(void);

#endif
