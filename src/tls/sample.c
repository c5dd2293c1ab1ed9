/*
 * sample.c: see sample.h.
 */
#include "tls/sample.h"

#include "base/os.h"

_Thread_local uint64_t sample_left;

static _Thread_local uint64_t random_state; /* own; 0: none drawn yet */

static uint64_t draw(void)
{
	if (unlikely(!random_state))
		random_state = os_random() | 1;
	random_state = random_state * 0x5851f42d4c957f2du + 0x14057b7ef767814fu;
	return random_state >> 16;
}

void *sample_block(size_t size, size_t align)
{
	size_t n = load_rlx(&options.x_guard_sample);
	bool due = sample_left == 1;
	/* From one to the next 1 to 2n - 1 calls, so n on average. */
	sample_left = 1 + draw() % (2 * n - 1);
	if (!due && !sample_passes()) {
		due = true;
		sample_left = 1 + draw() % (2 * n - 1);
	}
	return due ? guard_alloc(size, align, draw() & 1) : NULL;
}
