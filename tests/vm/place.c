/*
 * place.c: where malloc's pages lie on a machine with several nodes, asked of the kernel page by
 * page, under any malloc. Blocks have 16 bytes to 3 MiB.
 *
 *   place rows [MIB]       "local P crossfree P reborn P moved P": percent of pages on the node of
 *                          the thread that asked for them, each thread with MIB (16) MiB
 *   place generations N    whole percent, in new threads after N that were short-lived
 *   place counts MIB       pages of each node, in one thread for each node
 *   place shares MIB       the same in hundredths of a percent of all
 *   place setpolicy        percent on the node that a thread asked the kernel for, after it had
 *                          blocks, and percent on their own nodes of threads that did not
 *   place bounced N        KiB by which resident memory grew from N / 10 changes of node to N
 *   place live MIB         how many more mappings with that much live over all nodes
 *   place fill MIB         pages of each node when a thread of the first takes that much, and MiB
 *                          that lie elsewhere by hakmem's statistics
 *   place heaps            hakmem's own calls: percent of a chosen node's heap that lies there, share
 *                          of the node that has least of an interleaved heap, and what hak_node_stats
 *                          says of pages on other nodes than theirs (bytes)
 *   place deserted FILE    a thread of the second node leaves its blocks; when FILE is there, that
 *                          node's processors must be gone. KiB by which resident memory grows when
 *                          half of those blocks are freed and as much is allocated elsewhere
 *   place denied ERRNO COMMAND...   runs it with mbind, get_mempolicy and set_mempolicy failing
 */
#include "place.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PER_NODE = 2, THREADS_MAX = NODES_MAX * PER_NODE, SHORT_LIVED = 160 };
#define MOVED_BYTES (64 * MIB)

static struct blocks held[THREADS_MAX];
static struct pages seen[THREADS_MAX];
static size_t bytes_each = 16 * MIB;

static unsigned threads(void)
{
	return node_count * PER_NODE;
}

/* All pages that all threads counted: on their own nodes, in percent. */
static double share(void)
{
	size_t right = 0, all = 0;

	for (unsigned i = 0; i < threads(); i++) {
		right += seen[i].on[node_os[i % node_count]];
		all += seen[i].all;
		memset(&seen[i], 0, sizeof seen[i]);
	}
	return all ? 100.0 * (double)right / (double)all : 0;
}

static void fill_and_count(unsigned i)
{
	go_to(i % node_count);
	blocks_fill(&held[i], bytes_each);
	count_pages(&held[i], 0, &seen[i]);
}

/* ---- rows ----------------------------------------------------------------------------------- */

static pthread_barrier_t step;

/* Another node's thread frees, then each takes the same again. */
static void crossfree(unsigned i)
{
	go_to(i % node_count);
	blocks_fill(&held[i], bytes_each);
	pthread_barrier_wait(&step);
	blocks_free(&held[(i + 1) % threads()]);
	pthread_barrier_wait(&step);
	blocks_fill(&held[i], bytes_each);
	count_pages(&held[i], 0, &seen[i]);
	pthread_barrier_wait(&step);
}

static size_t short_bytes = MIB;

/* Half is left to the thread of another node that takes the place next. */
static void short_lived(unsigned i)
{
	struct blocks mine;

	go_to(i % node_count);
	blocks_free(&held[i]);
	blocks_init(&mine, MIB, i);
	blocks_fill(&mine, short_bytes);
	blocks_fill(&held[i], short_bytes);
	blocks_free(&mine);
}

static void run_short_lived(unsigned count)
{
	for (unsigned done = 0, turn = 1; done < count; done += threads(), turn++) {
		struct blocks first = held[0];

		run_threads(threads(), short_lived);
		/* The places go round by one, so that other nodes free. */
		first = held[0];
		memmove(held, held + 1, (threads() - 1) * sizeof *held);
		held[threads() - 1] = first;
	}
}

static void free_all(void)
{
	for (unsigned i = 0; i < threads(); i++)
		blocks_free(&held[i]);
}

/* With warm caches, to the next node; what is counted comes after the first 2 MiB there. */
static void moved(unsigned i)
{
	unsigned to = (i + 1) % node_count;
	size_t from;

	go_to(i);
	blocks_fill(&held[i], MOVED_BYTES / 2);
	blocks_free(&held[i]);
	go_to(to);
	blocks_fill(&held[i], 2 * MIB);
	from = held[i].count;
	blocks_fill(&held[i], MOVED_BYTES);
	count_pages(&held[i], from, &seen[to]);
	blocks_free(&held[i]);
}

static void run_rows(void)
{
	double local, cross, reborn;

	pthread_barrier_init(&step, NULL, threads());
	run_threads(threads(), fill_and_count);
	local = share();
	free_all();
	run_threads(threads(), crossfree);
	cross = share();
	free_all();
	run_short_lived(SHORT_LIVED);
	free_all();
	run_threads(threads(), fill_and_count);
	reborn = share();
	free_all();
	run_threads(node_count, moved);
	printf("local %.1f crossfree %.1f reborn %.1f moved %.1f\n", local, cross, reborn, share());
}

static void run_generations(unsigned count)
{
	short_bytes = MIB / 16;
	run_short_lived(count);
	free_all();
	run_threads(threads(), fill_and_count);
	printf("%d\n", (int)share());
}

/* ---- Policies ------------------------------------------------------------------------------- */

static void run_counts(int shares)
{
	struct pages sum = {.all = 0};

	run_threads(node_count, fill_and_count);
	for (unsigned i = 0; i < node_count; i++)
		for (unsigned os = 0; os < NODES_MAX; os++)
			sum.on[os] += seen[i].on[os];
	for (unsigned i = 0; i < node_count; i++)
		sum.all += seen[i].all;
	for (int os = 0; os < NODES_MAX; os++)
		if (sum.on[os])
			printf("node%d %zu ", os,
				shares ? sum.on[os] * 10000 / sum.all : sum.on[os]);
	printf("\n");
}

enum { POLICY_DEFAULT, POLICY_BIND = 2 };

static void set_policy(int mode, int os)
{
	unsigned long mask[NODES_MAX / 64 + 1] = {0};

	if (mode != POLICY_DEFAULT)
		mask[os / 64] = 1ul << os % 64;
	if (syscall(SYS_set_mempolicy, mode, mask, NODES_MAX + 1) != 0)
		die("set_mempolicy: %s", strerror(errno));
}

static double set_share, back_share;

/* The first thread asks for the last node, then no more; the others ask for nothing. */
static void with_policy(unsigned i)
{
	struct pages p = {.all = 0}, back = {.all = 0};
	int far = node_os[node_count - 1];
	size_t from;

	if (i > 0) {
		fill_and_count(i);
		return;
	}
	go_to(0);
	blocks_fill(&held[0], bytes_each);
	count_pages(&held[0], 0, &seen[0]);
	set_policy(POLICY_BIND, far);
	from = held[0].count;
	blocks_fill(&held[0], 2 * bytes_each);
	count_pages(&held[0], from, &p);
	set_share = percent(&p, far);
	set_policy(POLICY_DEFAULT, 0);
	from = held[0].count;
	blocks_fill(&held[0], 2 * bytes_each);
	count_pages(&held[0], from, &back);
	back_share = percent(&back, node_os[0]);
}

static void run_setpolicy(void)
{
	run_threads(threads(), with_policy);
	printf("set %.1f back %.1f others %.1f\n", set_share, back_share, share());
}

/* ---- Bounds --------------------------------------------------------------------------------- */

static size_t resident_kib(void)
{
	unsigned long all = 0, resident = 0;
	char text[128] = "";
	int file = open("/proc/self/statm", O_RDONLY);

	if (file < 0 || read(file, text, sizeof text - 1) <= 0 ||
		sscanf(text, "%lu %lu", &all, &resident) != 2)
		die("/proc/self/statm: %s", strerror(errno));
	close(file);
	return resident * (PAGE / KIB);
}

static unsigned bounces;

/* 2 MiB live all the time, an eighth of it anew after each change, in blocks of the same sizes. */
static void bounce(unsigned i)
{
	enum { PARTS = 8 };
	static struct blocks part[PARTS];
	size_t early = 0, late;

	(void)i;
	for (unsigned k = 0; k < PARTS; k++)
		blocks_init(&part[k], MIB, k);
	for (unsigned n = 1; n <= bounces; n++) {
		go_to(n % node_count);
		blocks_free(&part[n % PARTS]);
		part[n % PARTS].seed = n % PARTS;
		blocks_fill(&part[n % PARTS], MIB / 4);
		if (n == bounces / 10)
			early = resident_kib();
	}
	late = resident_kib();
	printf("%zu\n", late > early ? late - early : 0);
}

static unsigned count_mappings(void)
{
	static char text[1 << 16];
	int file = open("/proc/self/maps", O_RDONLY);
	unsigned lines = 0;
	ssize_t n;

	while ((n = read(file, text, sizeof text)) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	close(file);
	return lines;
}

/* Blocks of 64 KiB to 1 MiB of which one page each is touched. */
static void live(unsigned i)
{
	go_to(i % node_count);
	for (size_t got = 0; got < bytes_each;) {
		size_t size = 64 * KIB << (got / KIB / 64 % 5);
		char *p = malloc(size);

		if (!p)
			die("malloc(%zu)", size);
		*p = 1;
		got += size;
	}
}

/* Counted while all threads are there, so that their stacks are no difference. */
static void live_and_count(unsigned i)
{
	unsigned before = 0;

	if (i == 0)
		before = count_mappings();
	pthread_barrier_wait(&step);
	live(i);
	pthread_barrier_wait(&step);
	if (i == 0)
		printf("%d\n", (int)count_mappings() - (int)before);
	pthread_barrier_wait(&step);
}

static void run_live(void)
{
	bytes_each /= threads();
	pthread_barrier_init(&step, NULL, threads());
	run_threads(threads(), live_and_count);
}

/* ---- Heaps on a node ------------------------------------------------------------------------ */

static void *(*heap_alloc)(void *, size_t, size_t, unsigned);
static int (*node_of)(const void *);

static void *symbol(const char *name)
{
	void *found = dlsym(RTLD_DEFAULT, name);

	if (!found)
		die("no function %s", name);
	return found;
}

static void fill_heap(void *heap, struct pages *p)
{
	struct blocks b;

	blocks_init(&b, 16 * MIB, 1);
	for (size_t size = 40; b.count < 3000; size = size * 13 % 20011) {
		size_t bytes = size + 1;
		char *block = heap_alloc(heap, bytes, 0, 0);

		if (!block)
			die("no block of a heap");
		memset(block, 1, bytes);
		b.size[b.count] = (uint32_t)bytes;
		b.block[b.count++] = block;
	}
	count_pages(&b, 0, p);
	for (size_t i = 0; i < b.count; i += 100) {
		struct blocks one = {.block = &b.block[i], .size = &b.size[i], .count = 1};
		struct pages here = {.all = 0};

		one.size[0] = 1;
		count_pages(&one, 0, &here);
		if (!here.on[node_of(b.block[i])])
			die("hak_node_of says %d", node_of(b.block[i]));
	}
}

static uint64_t bytes_elsewhere(void)
{
	int (*node_stats)(unsigned, void *, size_t) =
		(int (*)(unsigned, void *, size_t))symbol("hak_node_stats");
	uint64_t stats[11], elsewhere = 0;

	for (unsigned i = 0; node_stats(i, stats, sizeof stats) == 0; i++)
		elsewhere += stats[7];
	return elsewhere;
}

static void refresh(void)
{
	int (*call)(void) = (int (*)(void))symbol("hak_numa_refresh");

	if (call() != 0)
		die("hak_numa_refresh: %s", strerror(errno));
}

/* The first node's pages have no room then. */
static void second_only(unsigned i)
{
	if (i == 1)
		fill_and_count(i);
}

static void run_deserted(const char *file)
{
	struct blocks mine;
	size_t before, after;

	if (node_count < 2)
		die("one node with processors");
	go_to(0);
	bytes_each = 32 * MIB;
	run_threads(2, second_only);
	printf("%.1f%% on the second node\n", percent(&seen[1], node_os[1]));
	fflush(stdout);
	while (access(file, F_OK) != 0)
		usleep(100000);
	refresh();
	before = resident_kib();
	for (size_t i = 0; i < held[1].count; i += 2)
		free(held[1].block[i]);
	blocks_init(&mine, 16 * MIB, 99);
	blocks_fill(&mine, 12 * MIB);
	after = resident_kib();
	printf("%zu\n", after > before ? after - before : 0);
}

static void run_heaps(void)
{
	void *(*create_on)(int) = (void *(*)(int))symbol("hak_heap_create_on");
	void *(*create_interleaved)(void) = (void *(*)(void))symbol("hak_heap_create_interleaved");
	struct pages own = {.all = 0}, all = {.all = 0};
	size_t right = 0, least = SIZE_MAX;

	heap_alloc = (void *(*)(void *, size_t, size_t, unsigned))symbol("hak_heap_alloc");
	node_of = (int (*)(const void *))symbol("hak_node_of");
	refresh();
	for (unsigned i = 0; i < node_count; i++) {
		memset(&own, 0, sizeof own);
		fill_heap(create_on(node_os[i]), &own);
		right += own.on[node_os[i]];
		all.all += own.all;
	}
	printf("own %.1f ", 100.0 * (double)right / (double)all.all);
	memset(&all, 0, sizeof all);
	fill_heap(create_interleaved(), &all);
	for (unsigned i = 0; i < node_count; i++)
		least = all.on[node_os[i]] < least ? all.on[node_os[i]] : least;
	printf("interleaved %.1f elsewhere %zu\n",
		100.0 * (double)(least * node_count) / (double)all.all, (size_t)bytes_elsewhere());
}

static size_t number(const char *text)
{
	char *end;
	size_t value = text ? strtoul(text, &end, 10) : 0;

	if (!text || end == text || *end || !value)
		die("'%s' is no positive number", text ? text : "");
	return value;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "denied") && argc > 3)
		run_denied((unsigned)number(argv[2]), argv + 3);
	find_nodes();
	if (argc > 2 && strcmp(what, "bounced") != 0 && strcmp(what, "generations") != 0 &&
		strcmp(what, "deserted") != 0)
		bytes_each = number(argv[2]) * MIB;
	for (unsigned i = 0; i < threads(); i++)
		blocks_init(
			&held[i], bytes_each > 2 * MOVED_BYTES ? bytes_each : 2 * MOVED_BYTES, i);
	if (!strcmp(what, "rows")) {
		run_rows();
	} else if (!strcmp(what, "generations")) {
		run_generations((unsigned)number(argv[2]));
	} else if (!strcmp(what, "counts") || !strcmp(what, "shares")) {
		run_counts(what[0] == 's');
	} else if (!strcmp(what, "setpolicy")) {
		run_setpolicy();
	} else if (!strcmp(what, "bounced")) {
		bounces = (unsigned)number(argv[2]);
		run_threads(1, bounce);
	} else if (!strcmp(what, "heaps")) {
		run_heaps();
	} else if (!strcmp(what, "live")) {
		run_live();
	} else if (!strcmp(what, "fill")) {
		node_count = 1;
		run_counts(0);
		printf("%zu\n", (size_t)(bytes_elsewhere() / MIB));
	} else if (!strcmp(what, "deserted") && argc > 2) {
		run_deserted(argv[2]);
	} else {
		die("%s: no such thing to do", what);
	}
	return 0;
}
