/*
 * kv_main.c: runs the key-value server and its load in one process for some
 * seconds, replacing every thread from time to time, and reports. Ends with 0
 * when every answer was right.
 */
#include "kv.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define TURN_S 0.25 /* about as long as a thread lives */

struct options {
	unsigned seconds, threads, clients, keys;
	uint64_t seed;
	bool local, progress, stats;
};

struct run;

/* A place that one thread after another fills. */
struct slot {
	struct run *run;
	unsigned index;
	struct kv_client *client; /* NULL: a server's worker */
	double turn_s;
	pthread_t thread;
	struct slot *next; /* in run.ended */
};

struct run {
	struct options options;
	struct kv_server *server;
	struct kv_totals totals;
	_Atomic bool stop;
	pthread_mutex_t lock;
	pthread_cond_t some_ended;
	struct slot *ended;
	struct slot slots[];
};

static void *slot_thread(void *argument)
{
	struct slot *slot = argument;
	struct run *run = slot->run;
	double until = kv_now() + slot->turn_s;

	if (slot->client)
		kv_client_turn(slot->client, until, &run->stop);
	else
		kv_server_turn(run->server, slot->index, until);
	pthread_mutex_lock(&run->lock);
	slot->next = run->ended;
	run->ended = slot;
	pthread_cond_signal(&run->some_ended);
	pthread_mutex_unlock(&run->lock);
	return NULL;
}

static void *reclaim_thread(void *argument)
{
	struct run *run = argument;

	kv_server_reclaim(run->server);
	return NULL;
}

static void start(struct slot *slot)
{
	errno = pthread_create(&slot->thread, NULL, slot_thread, slot);
	if (errno)
		kv_die("kv_server: pthread_create");
	atomic_fetch_add_explicit(&slot->run->totals.threads, 1, memory_order_relaxed);
}

/* Waits for a thread to end, at most until `until`. NULL when none did. */
static struct slot *next_ended(struct run *run, double until)
{
	struct timespec at = {(time_t)until, (long)((until - (double)(time_t)until) * 1e9)};
	struct slot *slot;
	int error = 0;

	pthread_mutex_lock(&run->lock);
	while (!run->ended && error == 0)
		error = pthread_cond_clockwait(&run->some_ended, &run->lock, CLOCK_MONOTONIC, &at);
	slot = run->ended;
	if (slot)
		run->ended = slot->next;
	pthread_mutex_unlock(&run->lock);
	return slot;
}

static long resident_kib(void)
{
	char text[128];
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file)
		return 0;
	if (fgets(text, sizeof(text), file))
		sscanf(text, "%*s %ld", &pages);
	fclose(file);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void print_second(struct run *run, unsigned second, uint64_t *before)
{
	uint64_t requests = atomic_load(&run->totals.requests);

	printf("  second %2u: %8llu requests/s, %5ld MiB resident, %llu errors\n", second,
	        (unsigned long long)(requests - *before), resident_kib() / 1024,
	        (unsigned long long)atomic_load(&run->totals.errors));
	fflush(stdout);
	*before = requests;
}

static void run_for_seconds(struct run *run, double from)
{
	uint64_t before = 0;

	for (unsigned second = 1; second <= run->options.seconds; second++) {
		double until = from + second;
		struct slot *slot;

		while ((slot = next_ended(run, until)) != NULL) {
			pthread_join(slot->thread, NULL);
			start(slot);
		}
		if (run->options.progress)
			print_second(run, second, &before);
		if (atomic_load(&run->totals.errors) > 0)
			return;
	}
}

static void end_threads(struct run *run)
{
	unsigned servers = run->options.threads, clients = run->options.clients;

	/* The clients first: each still needs the answers of its last batch, and workers whose turn
	 * is over meanwhile need others in their place. */
	atomic_store(&run->stop, true);
	while (clients > 0) {
		struct slot *slot = next_ended(run, kv_now() + 1);

		if (!slot)
			continue;
		pthread_join(slot->thread, NULL);
		if (slot->client)
			clients--;
		else
			start(slot);
	}
	kv_server_stop(run->server);
	for (unsigned i = 0; i < servers; i++)
		pthread_join(run->slots[i].thread, NULL);
}

static void report(struct run *run, double seconds)
{
	struct kv_totals *totals = &run->totals;
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	printf("requests/s       %.0f\n", (double)atomic_load(&totals->requests) / seconds);
	printf("requests         %llu\n", (unsigned long long)atomic_load(&totals->requests));
	printf("values verified  %llu (%llu MiB)\n",
	        (unsigned long long)atomic_load(&totals->verified),
	        (unsigned long long)(atomic_load(&totals->bytes) >> 20));
	printf("errors           %llu\n", (unsigned long long)atomic_load(&totals->errors));
	printf("connections      %llu\n", (unsigned long long)atomic_load(&totals->connections));
	printf("threads          %llu\n", (unsigned long long)atomic_load(&totals->threads));
	printf("peak RSS         %ld KiB\n", usage.ru_maxrss);
	printf("CPU seconds      %.2f user, %.2f system\n",
	        (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec * 1e-6,
	        (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec * 1e-6);
	fflush(stdout);
}

static struct run *run_new(const struct options *options)
{
	unsigned all = options->threads + options->clients;
	struct run *run = calloc(1, sizeof(*run) + all * sizeof(struct slot));

	if (!run)
		kv_die("kv_server: calloc");
	run->options = *options;
	run->server = kv_server_new(options->threads, options->local);
	pthread_mutex_init(&run->lock, NULL);
	pthread_cond_init(&run->some_ended, NULL);
	for (unsigned i = 0; i < all; i++) {
		struct slot *slot = &run->slots[i];

		slot->run = run;
		slot->index = i;
		slot->turn_s = TURN_S * (0.75 + 0.5 * i / all);
		if (i >= options->threads)
			slot->client = kv_client_new(run->server, &run->totals,
			        i - options->threads, options->seed, options->keys);
	}
	return run;
}

static bool run_all(const struct options *options)
{
	struct run *run = run_new(options);
	unsigned all = options->threads + options->clients;
	pthread_t reclaimer;
	double from = kv_now();

	printf("kv_server: %u server threads, %u clients, %u s, seed %llu, %s\n", options->threads,
	        options->clients, options->seconds, (unsigned long long)options->seed,
	        kv_server_address(run->server));
	fflush(stdout);
	errno = pthread_create(&reclaimer, NULL, reclaim_thread, run);
	if (errno)
		kv_die("kv_server: pthread_create");
	for (unsigned i = 0; i < all; i++)
		start(&run->slots[i]);
	run_for_seconds(run, from);
	end_threads(run);
	pthread_join(reclaimer, NULL);
	report(run, kv_now() - from);
	if (options->stats)
		malloc_stats();
	bool right =
	        atomic_load(&run->totals.errors) == 0 && atomic_load(&run->totals.verified) > 0;

	for (unsigned i = options->threads; i < all; i++)
		kv_client_free(run->slots[i].client);
	kv_server_free(run->server);
	pthread_cond_destroy(&run->some_ended);
	pthread_mutex_destroy(&run->lock);
	free(run);
	return right;
}

static const char usage_text[] =
        "usage: kv_server [options]\n"
        "A key-value server and its own load in one process; checks every answer.\n"
        "  --seconds N   how long (5)\n"
        "  --threads N   server threads (4)\n"
        "  --clients N   client threads (4)\n"
        "  --keys N      keys of each client (2000)\n"
        "  --seed N      where the load's random numbers start (1)\n"
        "  --local       socket pairs instead of TCP\n"
        "  --progress    one line a second\n";

static uint64_t number(const char *name, const char *text, uint64_t least, uint64_t most)
{
	char *end;

	errno = 0;
	uint64_t value = strtoull(text, &end, 10);

	if (errno || end == text || *end || *text == '-' || value < least || value > most) {
		fprintf(stderr, "kv_server: --%s %s: not a number from %llu to %llu\n", name, text,
		        (unsigned long long)least, (unsigned long long)most);
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"seconds", 1, NULL, 's'}, {"threads", 1, NULL, 't'},
	        {"clients", 1, NULL, 'c'}, {"keys", 1, NULL, 'k'}, {"seed", 1, NULL, 'r'},
	        {"local", 0, NULL, 'l'}, {"progress", 0, NULL, 'p'}, {"stats", 0, NULL, 'm'},
	        {"help", 0, NULL, 'h'}, {NULL, 0, NULL, 0}};
	struct options options = {
	        .seconds = 5, .threads = 4, .clients = 4, .keys = 2000, .seed = 1};
	int option;

	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (option == 's')
			options.seconds = (unsigned)number("seconds", optarg, 1, 86400);
		else if (option == 't')
			options.threads = (unsigned)number("threads", optarg, 1, 256);
		else if (option == 'c')
			options.clients = (unsigned)number("clients", optarg, 1, 256);
		else if (option == 'k')
			options.keys = (unsigned)number("keys", optarg, 1, 10000000);
		else if (option == 'r')
			options.seed = number("seed", optarg, 0, UINT64_MAX);
		else if (option == 'l')
			options.local = true;
		else if (option == 'p')
			options.progress = true;
		else if (option == 'm')
			options.stats = true;
		else {
			fputs(usage_text, option == 'h' ? stdout : stderr);
			return option == 'h' ? 0 : 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "kv_server: %s: unknown argument\n", argv[optind]);
		return 2;
	}
	return run_all(&options) ? 0 : 1;
}
