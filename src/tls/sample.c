/*
 * sample.c: see sample.h.
 */
#include "tls/sample.h"

#include "base/os.h"

_Thread_local int64_t sample_left;

static _Thread_local uint64_t random_state; /* own; 0: none drawn yet */

static uint64_t draw(void)
{
	if (unlikely(!random_state))
		random_state = os_random() | 1;
	random_state = random_state * 0x5851f42d4c957f2du + 0x14057b7ef767814fu;
	return random_state >> 16;
}

/* From one to the next 1 to 2n - 1 calls, so n on average. */
static void draw_left(size_t n)
{
	sample_left = n ? 1 + (int64_t)(draw() % (2 * n - 1)) : INT64_MAX;
}

void *sample_block(size_t size, size_t align)
{
	size_t n = load_rlx(&options.x_guard_sample);
	if (sample_left < 0) {
		draw_left(n);
		if (sample_passes())
			return NULL;
	}
	draw_left(n);
	return n ? guard_alloc(size, align, draw() & 1) : NULL;
}
