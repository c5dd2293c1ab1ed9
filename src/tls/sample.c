/*
 * sample.c: see sample.h.
 */
#include "tls/sample.h"

#include "base/os.h"

_Thread_local int64_t sample_left;

static _Thread_local uint64_t random_state; /* own; 0: none drawn yet */

#define RANDOM_BITS 48

static uint64_t draw(void)
{
	if (unlikely(!random_state))
		random_state = os_random() | 1;
	random_state = random_state * 0x5851f42d4c957f2du + 0x14057b7ef767814fu;
	return random_state >> (64 - RANDOM_BITS);
}

static bool flip(void)
{
	return draw() >> (RANDOM_BITS - 1);
}

/* Of numbers with 16 bits behind the point: a program may have its own idea of floating point. */
#define ONE ((uint64_t)1 << 16)
#define BEND (uint64_t)(0.3437 * (1 << 16))
#define LN_2 (uint64_t)(0.693147 * (1 << 16))

/*
 * -ln of a random number between 0 and 1. The logarithm of the mantissa is a
 * parabola, wrong by less than 0.01; so no mathematics library is needed.
 */
static uint64_t draw_exponential(void)
{
	uint64_t x = draw() | 1;
	unsigned e = log2_floor(x);
	uint64_t m = (e > 16 ? x >> (e - 16) : x << (16 - e)) - ONE;
	return ((RANDOM_BITS - e) * ONE - m - (BEND * m / ONE) * (ONE - m) / ONE) * LN_2 / ONE;
}

/*
 * Calls until the next one, that one included: n on average, and as likely to end
 * with each of them, so that threads which make few calls are no exception.
 */
static void draw_left(size_t n)
{
	if (n > 1)
		sample_left = 1 + (int64_t)(draw_exponential() * (2 * n - 1) / (2 * ONE));
	else
		sample_left = n ? 1 : INT64_MAX;
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
	return n ? guard_alloc(size, align, flip()) : NULL;
}
