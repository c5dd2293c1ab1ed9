/*
 * site_stats.c: what is known of the places in the program that ask for big blocks.
 */
#include "api/stats.h"
#include "base/check.h"
#include "hakmem.h"
#include "policy/site.h"

#include <errno.h>
#include <string.h>

_Static_assert((int)HAK_SITE_WARM == SITE_WARM && (int)HAK_SITE_COLD == SITE_COLD,
	"the public names are those of policy/site.h");

static bool fill(struct hak_site_stats *s, const struct site *site)
{
	*s = (struct hak_site_stats){
		.address = (const void *)load_rlx(&site->x_address),
		.allocs = load_rlx(&site->x_allocs),
		.frees = load_rlx(&site->x_frees),
		.fresh = load_rlx(&site->x_fresh_bytes),
		.class_now = load_rlx(&site->x_class),
		.score = load_rlx(&site->x_score),
	};
	return s->address || s->allocs;
}

int hak_site_stats(unsigned index, struct hak_site_stats *stats, size_t bytes)
{
	struct hak_site_stats s;
	for (unsigned i = 0; i < SITES; i++) {
		if (!fill(&s, &sites[i]) || index-- > 0)
			continue;
		memset(stats, 0, bytes);
		memcpy(stats, &s, min_size(bytes, sizeof s));
		return 0;
	}
	errno = ENOENT;
	return -1;
}

void sites_json(char *text, size_t bytes, size_t *used)
{
	static const char *const classes[] = {"hot", "warm", "cold"};
	struct hak_site_stats s;
	for (unsigned i = 0, n = 0; i < SITES; i++) {
		if (!fill(&s, &sites[i]))
			continue;
		text_append(text, bytes, used,
			"%s\n    {\"address\": \"%p\", \"class\": \"%s\", \"score\": %d, "
			"\"allocs\": %lu, \"frees\": %lu, \"fresh\": %lu}",
			n++ ? "," : "", s.address, classes[s.class_now % 3], s.score, s.allocs,
			s.frees, s.fresh);
	}
}
