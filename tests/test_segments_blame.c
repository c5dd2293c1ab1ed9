/*
 * Unit test of blame.c: a program's own data that looks like the mark of a free block is no reason
 * to refuse the block. It can get there by a copy from where free blocks of the same page once were.
 */
#include "hakmem.h"
#include "segments/map.h"
#include "segments/page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { BLOCKS = 20, BYTES = 200 };

static void test_data_like_a_mark(void **state)
{
	struct block *block[BLOCKS];

	(void)state;
	for (int i = 0; i < BLOCKS; i++) {
		block[i] = hak_malloc(BYTES);
		assert_non_null(block[i]);
		block[i]->mark = mark_listed(block_page(block[i]));
	}
	/* Some of the page are free, so that there is a list to look at. */
	for (int i = 0; i < BLOCKS; i += 2)
		hak_free(block[i]);
	for (int i = 1; i < BLOCKS; i += 2) {
		assert_true(hak_usable_size(block[i]) >= BYTES);
		block[i] = hak_realloc(block[i], 10 * BYTES);
		assert_non_null(block[i]);
		assert_true(block[i]->mark != 0);
		hak_free(block[i]);
	}
	assert_true(hak_verify() > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_data_like_a_mark)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
