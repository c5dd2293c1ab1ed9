/*
 * Under a hard limit a big block can grow by what the limit leaves, even where it must move.
 */
#include "hakmem.h"
#include "test.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum { BEFORE = 300 << 20, AFTER = 320 << 20, TOO_MUCH = 520 << 20 };

int main(void)
{
	char *block, *grown;
	void *wall;

	CHECK(hak_option_set("limit", "hard:500M") == 0, "limit: %s", strerror(errno));
	block = hak_malloc(BEFORE);
	CHECK(block, "hak_malloc(%d): %s", BEFORE, strerror(errno));
	block[0] = block[BEFORE - 1] = 7;
	/* Something that lies behind it already does as well. */
	wall = mmap(block + BEFORE, 4096, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	(void)wall;
	grown = hak_realloc(block, AFTER);
	CHECK(grown, "hak_realloc(%d, %d): %s", BEFORE, AFTER, strerror(errno));
	CHECK(grown[0] == 7 && grown[BEFORE - 1] == 7, "the contents are lost");
	errno = 0;
	CHECK(!hak_realloc(grown, TOO_MUCH) && errno == ENOMEM, "beyond the limit: %s",
		strerror(errno));
	CHECK(grown[0] == 7 && grown[BEFORE - 1] == 7, "the contents are lost");
	hak_free(grown);
	return 0;
}
