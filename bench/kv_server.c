/*
 * kv_server.c: the server's workers: each has an epoll set and the connections in
 * it, and is driven by one thread at a time; threads come and go, the worker
 * stays. A connection is made by the thread that accepts it and handed to the
 * next worker in turn. Listens on a free loopback port; where there is no TCP,
 * connections are socket pairs.
 */
#include "kv.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 64
#define WAIT_MS 20

/* A connection in the worker's list. */
struct held {
	struct held *next, *previous;
	struct kv_conn *conn;
	bool writing;
};

struct worker {
	int epoll_fd;
	pthread_mutex_t lock; /* for the list: others add to it */
	struct held *held;
};

struct discarded {
	struct discarded *next;
	struct kv_value *value;
};

struct kv_server {
	struct kv_table *table;
	int listen_fd; /* -1: socket pairs */
	struct sockaddr_in address;
	char address_text[64];
	unsigned workers_count;
	_Atomic unsigned next_worker;
	_Atomic bool stop;
	pthread_mutex_t discard_lock;
	pthread_cond_t discard_some;
	struct discarded *discarded;
	struct worker workers[];
};

double kv_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int listen_on_loopback(struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t bytes = sizeof(*address);

	if (fd < 0)
		return -1;
	address->sin_family = AF_INET;
	address->sin_port = 0;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)address, sizeof(*address)) || listen(fd, 128) ||
	        getsockname(fd, (struct sockaddr *)address, &bytes)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void worker_init(struct worker *worker, int listen_fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = NULL};

	worker->held = NULL;
	pthread_mutex_init(&worker->lock, NULL);
	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (worker->epoll_fd < 0)
		kv_die("kv_server: epoll_create1");
	if (listen_fd >= 0 && epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, listen_fd, &event))
		kv_die("kv_server: epoll_ctl");
}

struct kv_server *kv_server_new(unsigned threads, bool sockets_only_local)
{
	struct kv_server *server = calloc(1, sizeof(*server) + threads * sizeof(struct worker));

	if (!server)
		kv_die("kv_server: calloc");
	server->table = kv_table_new();
	server->listen_fd = sockets_only_local ? -1 : listen_on_loopback(&server->address);
	if (server->listen_fd < 0)
		snprintf(server->address_text, sizeof(server->address_text), "unix socket pairs");
	else
		snprintf(server->address_text, sizeof(server->address_text), "127.0.0.1:%u",
		        ntohs(server->address.sin_port));
	pthread_mutex_init(&server->discard_lock, NULL);
	pthread_cond_init(&server->discard_some, NULL);
	server->workers_count = threads;
	for (unsigned i = 0; i < threads; i++)
		worker_init(&server->workers[i], server->listen_fd);
	return server;
}

static void drop(struct worker *worker, struct held *held)
{
	pthread_mutex_lock(&worker->lock);
	if (held->previous)
		held->previous->next = held->next;
	else
		worker->held = held->next;
	if (held->next)
		held->next->previous = held->previous;
	pthread_mutex_unlock(&worker->lock);
	kv_conn_free(held->conn);
	free(held);
}

void kv_server_free(struct kv_server *server)
{
	for (unsigned i = 0; i < server->workers_count; i++) {
		struct worker *worker = &server->workers[i];

		while (worker->held)
			drop(worker, worker->held);
		close(worker->epoll_fd);
		pthread_mutex_destroy(&worker->lock);
	}
	if (server->listen_fd >= 0)
		close(server->listen_fd);
	pthread_cond_destroy(&server->discard_some);
	pthread_mutex_destroy(&server->discard_lock);
	kv_table_free(server->table);
	free(server);
}

const char *kv_server_address(const struct kv_server *server)
{
	return server->address_text;
}

struct kv_table *kv_server_table(struct kv_server *server)
{
	return server->table;
}

static void adopt(struct kv_server *server, int fd)
{
	unsigned turn = atomic_fetch_add_explicit(&server->next_worker, 1, memory_order_relaxed);
	struct worker *worker = &server->workers[turn % server->workers_count];
	struct held *held = kv_malloc(sizeof(*held));
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = held};

	held->conn = kv_conn_new(server, fd);
	held->writing = false;
	held->previous = NULL;
	pthread_mutex_lock(&worker->lock);
	held->next = worker->held;
	if (held->next)
		held->next->previous = held;
	worker->held = held;
	pthread_mutex_unlock(&worker->lock);
	if (epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, fd, &event))
		kv_die("kv_server: epoll_ctl");
}

static void no_delay(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void accept_all(struct kv_server *server)
{
	int fd;

	while ((fd = accept4(server->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		no_delay(fd);
		adopt(server, fd);
	}
}

static void serve(struct worker *worker, struct held *held)
{
	struct epoll_event event = {.data.ptr = held};

	if (!kv_conn_serve(held->conn)) {
		drop(worker, held);
		return;
	}
	if (held->writing == kv_conn_wants_write(held->conn))
		return;
	held->writing = !held->writing;
	event.events = EPOLLIN | (held->writing ? (uint32_t)EPOLLOUT : 0);
	if (epoll_ctl(worker->epoll_fd, EPOLL_CTL_MOD, kv_conn_fd(held->conn), &event))
		kv_die("kv_server: epoll_ctl");
}

void kv_server_turn(struct kv_server *server, unsigned index, double until)
{
	struct worker *worker = &server->workers[index];
	struct epoll_event events[EVENTS];

	while (!atomic_load_explicit(&server->stop, memory_order_relaxed) && kv_now() < until) {
		int count = epoll_wait(worker->epoll_fd, events, EVENTS, WAIT_MS);

		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr)
				serve(worker, events[i].data.ptr);
			else
				accept_all(server);
		}
	}
}

void kv_server_discard(struct kv_server *server, struct kv_value *value)
{
	struct discarded *discarded;

	if (!value)
		return;
	discarded = kv_malloc(sizeof(*discarded));
	discarded->value = value;
	pthread_mutex_lock(&server->discard_lock);
	discarded->next = server->discarded;
	server->discarded = discarded;
	pthread_cond_signal(&server->discard_some);
	pthread_mutex_unlock(&server->discard_lock);
}

void kv_server_reclaim(struct kv_server *server)
{
	bool stop;

	do {
		pthread_mutex_lock(&server->discard_lock);
		while (!server->discarded &&
		        !atomic_load_explicit(&server->stop, memory_order_relaxed))
			pthread_cond_wait(&server->discard_some, &server->discard_lock);
		struct discarded *all = server->discarded;

		server->discarded = NULL;
		stop = atomic_load_explicit(&server->stop, memory_order_relaxed);
		pthread_mutex_unlock(&server->discard_lock);
		while (all) {
			struct discarded *next = all->next;

			kv_value_release(all->value);
			free(all);
			all = next;
		}
	} while (!stop);
}

void kv_server_stop(struct kv_server *server)
{
	pthread_mutex_lock(&server->discard_lock);
	atomic_store_explicit(&server->stop, true, memory_order_relaxed);
	pthread_cond_broadcast(&server->discard_some);
	pthread_mutex_unlock(&server->discard_lock);
}

int kv_server_connect(struct kv_server *server)
{
	int pair[2], fd;

	if (server->listen_fd < 0) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
			return -1;
		if (fcntl(pair[1], F_SETFL, O_NONBLOCK))
			kv_die("kv_server: fcntl");
		adopt(server, pair[1]);
		return pair[0];
	}
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&server->address, sizeof(server->address))) {
		close(fd);
		return -1;
	}
	no_delay(fd);
	return fd;
}
