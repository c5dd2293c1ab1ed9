/*
 * kv.h: a small multithreaded key-value server with its own load, for seeing an
 * allocator at work in one process: values are allocated by one thread, read by
 * others and freed by whoever drops the last reference. Plain malloc and free.
 *
 * kv_table.c    the sharded table and its reference-counted values
 * kv_conn.c     one connection: requests parsed, answers queued
 * kv_server.c   the server's threads
 * kv_client.c   the load: clients that know what every answer must be
 * kv_main.c     options, thread churn, the report
 */
#ifndef KV_H
#define KV_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

/* ---- Memory that must be there, and the end of everything ---- */

noreturn void kv_die(const char *what);
void *kv_malloc(size_t bytes);
void *kv_realloc(void *block, size_t bytes);

/* ---- Values and the table ---- */

struct kv_value {
	_Atomic uint32_t refs;
	uint32_t bytes;
	unsigned char data[];
};

struct kv_table;

struct kv_value *kv_value_new(uint32_t bytes); /* with one reference */
void kv_value_release(struct kv_value *value);

struct kv_table *kv_table_new(void);
void kv_table_free(struct kv_table *table);
/* A reference the caller must release, or NULL. */
struct kv_value *kv_table_get(struct kv_table *table, const char *key, size_t key_bytes);
/* Takes the caller's reference; returns the table's to what was there, or NULL. */
struct kv_value *kv_table_set(
        struct kv_table *table, const char *key, size_t key_bytes, struct kv_value *value);
/* Appends a copy of tail's bytes; false when there is no such key. */
bool kv_table_append(
        struct kv_table *table, const char *key, size_t key_bytes, const struct kv_value *tail);
/* Returns the table's reference to what was there, or NULL. */
struct kv_value *kv_table_delete(struct kv_table *table, const char *key, size_t key_bytes);

/* ---- What goes over the wire: a head, then key bytes, then value bytes ---- */

enum kv_op { KV_GET = 1, KV_SET, KV_APPEND, KV_DELETE };
enum kv_status { KV_OK = 1, KV_MISSING };

struct kv_request_head {
	uint8_t op;
	uint8_t zero;
	uint16_t key_bytes;
	uint32_t value_bytes;
};

struct kv_answer_head {
	uint32_t status;
	uint32_t value_bytes;
};

#define KV_KEY_MAX 512u
#define KV_VALUE_MAX (16u << 20)

/* ---- The server ---- */

struct kv_server;
struct kv_conn;

struct kv_server *kv_server_new(unsigned threads, bool sockets_only_local);
/* Ends the connections, frees all. No thread may be in kv_server_turn. */
void kv_server_free(struct kv_server *server);
/* One thread's turn at worker `index`: until `until` (kv_now) or stop. */
void kv_server_turn(struct kv_server *server, unsigned index, double until);
/* The thread that frees what others deleted; returns after kv_server_stop. */
void kv_server_reclaim(struct kv_server *server);
void kv_server_stop(struct kv_server *server);
/* A connected blocking socket, or -1. */
int kv_server_connect(struct kv_server *server);
const char *kv_server_address(const struct kv_server *server);
struct kv_table *kv_server_table(struct kv_server *server);
/* Hands a reference over to the reclaiming thread. NULL is ignored. */
void kv_server_discard(struct kv_server *server, struct kv_value *value);

struct kv_conn *kv_conn_new(struct kv_server *server, int fd);
void kv_conn_free(struct kv_conn *conn);
int kv_conn_fd(const struct kv_conn *conn);
/* Reads, serves, writes as far as possible. False when the peer is gone. */
bool kv_conn_serve(struct kv_conn *conn);
bool kv_conn_wants_write(const struct kv_conn *conn);

/* ---- The load ---- */

struct kv_totals {
	_Atomic uint64_t requests;
	_Atomic uint64_t verified; /* values compared byte by byte */
	_Atomic uint64_t bytes;    /* their bytes */
	_Atomic uint64_t errors;
	_Atomic uint64_t connections;
	_Atomic uint64_t threads;
};

struct kv_client;

struct kv_client *kv_client_new(struct kv_server *server, struct kv_totals *totals, unsigned id,
        uint64_t seed, unsigned keys);
void kv_client_free(struct kv_client *client);
/* Sends requests and checks the answers until `until` or until *stop. */
void kv_client_turn(struct kv_client *client, double until, const _Atomic bool *stop);

/* Seconds on a clock that only goes forward. */
double kv_now(void);

#endif
