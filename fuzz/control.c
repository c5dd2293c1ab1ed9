/*
 * control.c: see control.h.
 */
#include "control.h"

#include "api.h"

#include <errno.h>
#include <string.h>

/* What lived before the first input: in the preload form, blocks of the C library's. */
static struct hak_stats baseline;

bool script_has_hak(void)
{
#if TEST_FORM_HAK
	return true;
#else
	return hak_version != NULL;
#endif
}

void script_begin_process(void)
{
	if (script_has_hak())
		hak_stats(&baseline, sizeof baseline);
}

void control_heap_create(struct script *s, struct shadow *b, const struct record *r)
{
	hak_heap **heap = &s->heap[r->y % HEAPS];

	(void)b;
	if (!script_has_hak() || *heap)
		return;
	errno = 0;
	switch (r->x % 4) {
	case 0:
		*heap = hak_heap_create_on(0);
		break;
	case 1:
		*heap = hak_heap_create_interleaved();
		break;
	default:
		*heap = hak_heap_create();
	}
	if (!*heap && !s->limited)
		broken("record %zu: no heap: %s", s->record, strerror(errno));
}

void control_quiet(void)
{
	struct hak_stats now;

	if (!script_has_hak())
		return;
	hak_purge();
	hak_stats(&now, sizeof now);
	if (TEST_FORM_HAK && now.queued != 0)
		broken("all threads have ended, and %llu bytes are still on their way to one",
			(unsigned long long)now.queued);
}

static void expect(struct script *s, const char *call, const void *p, int error)
{
	if (p || errno != error)
		broken("record %zu: %s gave %p and errno %d, not NULL and %d", s->record, call, p,
			errno, error);
}

static void refuse_hak(struct script *s, const struct record *r)
{
	size_t size = record_size(r);
	void *p = &size;

	expect(s, "hak_aligned_alloc with alignment 48", hak_alloc(size, 48, 0), EINVAL);
	errno = 0;
	expect(s, "hak_heap_create_on(-1)", hak_heap_create_on(-1), EINVAL);
	errno = 0;
	expect(s, "hak_heap_create_on(30000)", hak_heap_create_on(30000), EINVAL);
	errno = 0;
	if (hak_option_set("no_such_option", "1") != -1 || errno != EINVAL)
		broken("record %zu: an unknown option was set", s->record);
	errno = 0;
	if (a_posix_memalign(&p, 24, size) != EINVAL || p != &size || errno)
		broken("record %zu: posix_memalign with alignment 24: %p, errno %d", s->record, p,
			errno);
}

void control_refused(struct script *s, struct shadow *b, const struct record *r)
{
	size_t much = (size_t)PTRDIFF_MAX - r->x * 16, half = SIZE_MAX / 2 + 1;

	errno = 0;
	switch (r->y % 8) {
	case 0:
		expect(s, "malloc of half the address space", a_malloc(opaque(much + 4096)),
			ENOMEM);
		break;
	case 1:
		expect(s, "calloc that overflows", a_calloc(opaque(half), r->x + 2), ENOMEM);
		break;
	case 2:
		expect(s, "realloc to half the address space", a_realloc(b->p, opaque(much)),
			ENOMEM);
		break;
	case 3:
		expect(s, "reallocarray that overflows",
			a_reallocarray(b->p, opaque(half), r->x * 2u + 2), ENOMEM);
		break;
	case 4:
		expect(s, "aligned_alloc of too much",
			a_aligned_alloc((size_t)1 << r->x % 40, opaque(much)), ENOMEM);
		break;
	default:
		if (script_has_hak())
			refuse_hak(s, r);
	}
	if (b->p)
		shadow_check(b);
}

static const struct {
	const char *name, *value[3]; /* the first is the default */
} options[] = {
	{"purge_bytes", {"64M", "0", "1M"}},
	{"purge_percent", {"50", "0", "1"}},
	{"batch_bytes", {"4M", "4K", "64K"}},
	{"batch_ranges", {"128", "16", "17"}},
	{"heap_cache_bytes", {"1M", "0", "64K"}},
	{"heap_partial_bytes", {"4M", "0", "64K"}},
	{"stash_bytes", {"32K", "0", "1M"}},
	{"populate", {"1", "0", "1"}},
	{"sites", {"1", "0", "1"}},
	{"huge", {"1", "0", "1"}},
	{"policy", {"off", "learn", "fixed:1M"}},
	{"huge_from", {"64M", "0", "1M"}},
	{"verify", {"0", "1", "50"}},
	{"limit", {"none", "hard:24M", "soft:1M,hard:64M"}},
};

enum { OPTIONS = sizeof options / sizeof *options };

static void set_option(const char *name, const char *value)
{
	if (hak_option_set(name, value) != 0)
		broken("option %s could not be set to %s: %s", name, value, strerror(errno));
}

void control_option(struct script *s, struct shadow *b, const struct record *r)
{
	size_t i = r->x % OPTIONS, value = r->y % 3;

	(void)b;
	if (!script_has_hak())
		return;
	set_option(options[i].name, options[i].value[value]);
	if (i == OPTIONS - 1)
		s->limited = value != 0;
}

void control_default_options(struct script *s)
{
	s->limited = false;
	for (size_t i = 0; i < OPTIONS && script_has_hak(); i++)
		set_option(options[i].name, options[i].value[0]);
}

void control_verify(struct script *s)
{
	struct hak_stats now;
	uint64_t bytes = 0, blocks = 0;

	if (!script_has_hak())
		return;
	hak_verify();
	hak_stats(&now, sizeof now);
	for (size_t i = 0; i < SLOTS; i++)
		if (s->block[i].p) {
			bytes += s->block[i].usable;
			blocks++;
		}
	/* A heap is itself a block of the default heap's. */
	for (size_t i = 0; i < HEAPS; i++)
		if (s->heap[i]) {
			bytes += a_usable_size(s->heap[i]);
			blocks++;
		}
	/* Under the preload the C library's own blocks, of threads and streams, come and go. */
	if (!TEST_FORM_HAK && now.live >= bytes && now.live_blocks >= blocks)
		return;
	if (now.live - baseline.live != bytes || now.live_blocks - baseline.live_blocks != blocks)
		broken("record %zu: %lld bytes in %lld blocks are live by the statistics, %llu in "
		       "%llu by the model",
			s->record, (long long)(now.live - baseline.live),
			(long long)(now.live_blocks - baseline.live_blocks),
			(unsigned long long)bytes, (unsigned long long)blocks);
}

/* The statistics of nodes ask the kernel about every page: now and then is enough. */
static void look_at(struct script *s, const struct shadow *b, bool json_too)
{
	char json[64];

	if (hak_node_of(s) != -1 || errno != EINVAL)
		broken("record %zu: memory that is not ours has a node", s->record);
	if (b->p && hak_node_of(b->p) < -1)
		broken("record %zu: block %p has node %d", s->record, (void *)b->p,
			hak_node_of(b->p));
	if (json_too && (hak_stats_json(json, sizeof json) <= 0 || json[0] != '{'))
		broken("record %zu: the statistics are no JSON", s->record);
}

void control_look(struct script *s, struct shadow *b, const struct record *r)
{
	switch (r->y % 4) {
	case 0:
		a_trim();
		break;
	case 1:
		if (b->p)
			shadow_check(b);
		break;
	case 2:
		if (script_has_hak())
			look_at(s, b, r->x % 32 == 0);
		break;
	default:
		script_check(s);
	}
}
