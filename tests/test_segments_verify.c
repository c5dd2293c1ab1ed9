/*
 * Unit tests of verify.c, here and in tls: each invariant is broken by hand, in a child, and the
 * line that follows must name it. The same state, untouched, passes.
 */
#include "base/options.h"
#include "hakmem.h"
#include "segments/map.h"
#include "segments/page.h"
#include "segments/span.h"
#include "tls/heap.h"
#include "tls/thread.h"
#include "tls/verify.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { BLOCKS = 4000, BYTES = 512 };

static void *block[BLOCKS];
static void *mid, *whale, *mapped;

static void *allocate(void *unused)
{
	(void)unused;
	for (int i = 0; i < BLOCKS; i++)
		block[i] = hak_malloc(BYTES);
	return NULL;
}

/*
 * Full pages of a thread that has ended, with and without room, owned pages, a mid block, whales of
 * both kinds, and free memory both clean and dirty.
 */
static int setup(void **state)
{
	pthread_t thread;
	void *more[10];

	(void)state;
	pthread_create(&thread, NULL, allocate, NULL);
	pthread_join(thread, NULL);
	for (int i = 0; i < BLOCKS; i += 2)
		hak_free(block[i]);
	for (int i = 0; i < 10; i++)
		more[i] = hak_malloc(MID_MAX / 2);
	mid = more[0];
	for (int i = 1; i < 10; i++)
		hak_free(more[i]);
	hak_free(hak_malloc(MID_MAX / 4));
	whale = hak_malloc(GRANULE_BYTES * 2);
	mapped = hak_malloc(WHALE_REGION_MAX + 1);
	hak_purge();
	hak_free(hak_malloc(SMALL_MAX));
	hak_free(hak_malloc(GRANULE_BYTES * 3));
	return 0;
}

static struct page *page_of(const void *p)
{
	return block_page(p);
}

/* A page with room that nobody owns. */
static struct page *offered(void)
{
	for (int i = 1; i < BLOCKS; i += 2) {
		struct page *page = page_of(block[i]);
		if (page_owner(page) == OWNER_NOBODY && page_is_partial(page))
			return page;
	}
	return NULL;
}

static void break_free_list(void)
{
	struct page *page = offered();
	page->free->next = (struct block *)(page->start + 8);
}

static void break_used(void)
{
	add_rlx(&offered()->x_used, 1);
}

static void break_offer(void)
{
	struct page *page = offered();
	struct region *r = page_region(page);
	size_t index = (size_t)(page - r->pages);
	store_rlx(&r->x_partial[page->size_class][index / 64], 0);
}

static void break_untrimmed(void)
{
	struct page *page = offered();
	struct region *r = page_region(page);
	page->trimmed = false;
	for (size_t word = 0; word < REGION_SLICES / 64; word++)
		store_rlx(&r->x_untrimmed[word], 0);
}

static void break_inside(void)
{
	void *large = hak_malloc(SMALL_MAX);
	page_of(large)[1].head = page_of(large) + 1;
}

/* Takes a free slice out of the pool and leaves it to nobody. */
static void lose_slice(void)
{
	struct region *r = page_region(page_of(mid));
	for (size_t g = 0;; g++) {
		uint32_t pool = (uint32_t)load_rlx(&r->x_slices[g]);
		if (!pool)
			continue;
		uint64_t bit = pool & -pool;
		and_rlx(&r->x_slices[g], ~(bit | bit << SLICES_DIRTY_SHIFT));
		sub_rlx(&r->x_room, 1);
		return;
	}
}

/* Two owners: a slice of a page goes to the pool as well. */
static void share_slice(void)
{
	struct page *page = page_of(mid);
	struct region *r = page_region(page);
	size_t index = (size_t)(page - r->pages);
	slices_publish(r, index / GRANULE_SLICES, (uint32_t)1 << (index % GRANULE_SLICES), false);
}

static void break_clean(void)
{
	struct region *r = page_region(page_of(mid));
	for (size_t i = 0;; i++) {
		uint64_t word = load_rlx(&r->x_slices[i / GRANULE_SLICES]) >> i % GRANULE_SLICES;
		if ((word & 1) && !(word >> SLICES_DIRTY_SHIFT & 1)) {
			memset((char *)r->base + i * SLICE_BYTES, 1, SLICE_BYTES);
			return;
		}
	}
}

static void break_hint(void)
{
	struct region *r = page_region(page_of(mid));
	for (size_t word = 0; word < REGION_WORDS; word++)
		store_rlx(&r->x_has_free[word], 0);
}

static void break_dirty_sum(void)
{
	add_rlx(&nodes[page_of(mid)->node].x_dirty_bytes, SLICE_BYTES);
}

static void break_resident_sum(void)
{
	sub_rlx(&nodes[page_of(mid)->node].x_resident, SLICE_BYTES);
}

static void break_mid(void)
{
	page_of(mid)->slices--;
}

static void break_whale(void)
{
	page_of(whale)->start += GRANULE_BYTES;
}

static void break_mapped(void)
{
	store_rlx(&page_of(mapped)->x_bytes, WHALE_REGION_MAX);
}

static void break_current(void)
{
	tls_home->direct[2] = &page_none;
}

static void break_cache(void)
{
	for (unsigned i = 0; i < MID_CLASSES; i++)
		tls_home->mid[i] = NULL;
}

static void break_stash(void)
{
	struct stash *s = &tls_home->stash[0];
	store_rlx(&s->x_blocks, load_rlx(&s->x_blocks) + 1);
}

/* Blocks that were sent and never arrived. */
static void lose_batch(void)
{
	counter64_add(&tls_home->x_sent_blocks, 5);
}

static void leave_page(void)
{
	struct page *page = offered();
	page_take(page, (uintptr_t)tls_home);
}

static void nothing(void)
{
}

/* What the child says; was it ended as it should be? */
static bool verdict(void (*mistake)(void), char *line, size_t bytes)
{
	int ends[2], status;
	ssize_t n;

	assert_int_equal(pipe(ends), 0);
	/* Without fork handlers: the sums are not looked at in a child that fork has made. */
	pid_t child = _Fork();
	if (child == 0) {
		/* cmocka would report the signal as its own. */
		signal(SIGABRT, SIG_DFL);
		dup2(ends[1], STDERR_FILENO);
		setup(NULL);
		hak_malloc(32);
		hak_free(hak_malloc(MID_MAX / 4));
		mistake();
		verify_all();
		_exit(0);
	}
	close(ends[1]);
	n = read(ends[0], line, bytes - 1);
	close(ends[0]);
	line[n > 0 ? n : 0] = '\0';
	assert_int_equal(waitpid(child, &status, 0), child);
	return mistake == nothing ? status == 0
				  : WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void test_mistakes(void **state)
{
	static const struct {
		void (*mistake)(void);
		const char *says;
	} all[] = {
		{nothing, ""},
		{break_free_list, "offset % bytes == 0"},
		{break_used, "== carved"},
		{break_offer, "x_partial[page->size_class], index"},
		{break_untrimmed, "x_untrimmed"},
		{break_inside, "head == page"},
		{share_slice, "page_owner(page) == OWNER_NONE"},
		{break_clean, "does not read as zero"},
		{break_hint, "no hint to free"},
		{break_mid, "slices == class_slices"},
		{break_whale, "page->start =="},
		{break_current, "h->direct[i] == h->front[c]"},
		{break_stash, "x_blocks"},
		{leave_page, "page->queued"},
		{lose_slice, "in the pool or owned"},
		{break_dirty_sum, "dirty"},
		{break_resident_sum, "bytes owned"},
		{break_mapped, "were counted"},
		{break_cache, "cached"},
		{lose_batch, "on their way"},
	};
	char line[600];

	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		bool ended = verdict(all[i].mistake, line, sizeof line);
		if (!ended || !strstr(line, all[i].says))
			fail_msg("mistake %zu is to be found by \"%s\": %s", i, all[i].says, line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_mistakes)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
