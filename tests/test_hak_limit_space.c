/*
 * A process that grows beyond its soft limit keeps its address space in proportion: huge pages that
 * are split to give memory back do not cost a reservation for every few of them.
 */
#include "hakmem.h"
#include "test.h"

#include <errno.h>
#include <string.h>

enum { ROUNDS = 128, SMALL = 1000, SMALL_BYTES = 4000, BIG_BYTES = 3 << 20 };

#define RESERVED_MOST (16 * GIB)

int main(void)
{
	struct hak_stats stats;

	CHECK(hak_option_set("limit", "soft:64M") == 0, "limit: %s", strerror(errno));
	CHECK(hak_option_set("huge_from", "16M") == 0, "huge_from: %s", strerror(errno));
	for (int round = 0; round < ROUNDS; round++) {
		char *big;

		for (int i = 0; i < SMALL; i++) {
			char *small = hak_malloc(SMALL_BYTES);
			CHECK(small, "hak_malloc(%d): %s", SMALL_BYTES, strerror(errno));
			*small = 1;
		}
		big = hak_malloc(BIG_BYTES);
		CHECK(big, "hak_malloc(%d): %s", BIG_BYTES, strerror(errno));
		*big = 1;
		hak_free(big);
	}
	hak_stats(&stats, sizeof stats);
	CHECK(stats.reserved <= RESERVED_MOST, "%zu MiB reserved for %zu MiB in use",
		(size_t)(stats.reserved / MIB), (size_t)(stats.live / MIB));
	return 0;
}
