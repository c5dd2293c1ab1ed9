/*
 * kv_client.c: the load. A client owns keys that nobody else writes, so it knows
 * what every answer about them must be: whether the key is there, how long its
 * value is and each of its bytes, which follow from a seed and the position. A
 * few keys are shared by all clients; their values carry their seed, and must be
 * whole. Requests go out in batches over a connection that lasts for some batches.
 */
#include "kv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 16u
#define BATCHES_PER_CONNECTION 300u
#define SHARED_KEYS 256u
#define SHARED_ONE_IN 8u
#define LARGE_ONE_IN 3000u
#define LARGE_BYTES_MAX (4u << 20)
#define APPENDED_BYTES_MAX (6u << 20)

struct known {
	uint64_t seed;
	uint32_t bytes;
	bool there;
};

struct expected {
	enum kv_op op;
	bool shared;
	struct known known; /* before a get or delete, after a set or append */
};

struct kv_client {
	struct kv_server *server;
	struct kv_totals *totals;
	unsigned id;
	unsigned keys_count;
	uint64_t random;
	int fd;
	unsigned batches_left;
	unsigned char *out, *in;
	size_t out_bytes, out_room, in_room;
	struct expected expected[BATCH];
	struct known keys[];
};

/* xorshift64*: any state but 0. */
static uint64_t next_random(struct kv_client *client)
{
	client->random ^= client->random >> 12;
	client->random ^= client->random << 25;
	client->random ^= client->random >> 27;
	return client->random * 0x2545F4914F6CDD1Du;
}

static unsigned below(struct kv_client *client, unsigned limit)
{
	return (unsigned)((next_random(client) >> 32) * limit >> 32);
}

/* 16 B to 64 KiB, spread over the powers of two, small ones favoured; now and then MiBs. */
static uint32_t some_size(struct kv_client *client)
{
	unsigned first, second;

	if (below(client, LARGE_ONE_IN) == 0)
		return (1u << 20) + below(client, LARGE_BYTES_MAX - (1u << 20));
	first = below(client, 12);
	second = below(client, 12);
	if (second < first)
		first = second;
	return (16u << first) + below(client, 16u << first);
}

static uint64_t word_at(uint64_t seed, uint64_t index)
{
	uint64_t word = (seed + index) * 0x9E3779B97F4A7C15u;

	return word ^ (word >> 31);
}

/* Bytes [from, from + bytes) of the seed's stream. */
static void fill(unsigned char *to, uint64_t seed, size_t from, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		uint64_t word = word_at(seed, (from + done) / 8);
		size_t skip = (from + done) % 8, part = 8 - skip;

		if (part > bytes - done)
			part = bytes - done;
		memcpy(to + done, (unsigned char *)&word + skip, part);
		done += part;
	}
}

static bool matches(const unsigned char *at, uint64_t seed, size_t bytes)
{
	size_t i = 0;

	for (; i + 8 <= bytes; i += 8) {
		uint64_t word = word_at(seed, i / 8);

		if (memcmp(at + i, &word, 8) != 0)
			return false;
	}
	uint64_t last = word_at(seed, i / 8);

	return memcmp(at + i, &last, bytes - i) == 0;
}

struct kv_client *kv_client_new(struct kv_server *server, struct kv_totals *totals, unsigned id,
        uint64_t seed, unsigned keys)
{
	struct kv_client *client = calloc(1, sizeof(*client) + keys * sizeof(struct known));

	if (!client)
		kv_die("kv_server: calloc");
	client->server = server;
	client->totals = totals;
	client->id = id;
	client->keys_count = keys;
	client->random = word_at(seed, id) | 1;
	client->fd = -1;
	return client;
}

static void disconnect(struct kv_client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
	free(client->out);
	free(client->in);
	client->out = client->in = NULL;
	client->out_room = client->in_room = 0;
}

void kv_client_free(struct kv_client *client)
{
	disconnect(client);
	free(client);
}

static unsigned char *room_for(struct kv_client *client, size_t bytes)
{
	if (client->out_bytes + bytes > client->out_room) {
		client->out_room = (client->out_bytes + bytes) * 3 / 2;
		client->out = kv_realloc(client->out, client->out_room);
	}
	client->out_bytes += bytes;
	return client->out + client->out_bytes - bytes;
}

/* Writes the head and the key; returns where the value goes. */
static unsigned char *put_request(
        struct kv_client *client, enum kv_op op, const char *key, uint32_t value_bytes)
{
	size_t key_bytes = strlen(key);
	struct kv_request_head head = {
	        .op = (uint8_t)op, .key_bytes = (uint16_t)key_bytes, .value_bytes = value_bytes};
	unsigned char *to = room_for(client, sizeof(head) + key_bytes + value_bytes);

	memcpy(to, &head, sizeof(head));
	memcpy(to + sizeof(head), key, key_bytes);
	return to + sizeof(head) + key_bytes;
}

static void ask_shared(struct kv_client *client, struct expected *expected)
{
	static const enum kv_op ops[8] = {
	        KV_GET, KV_GET, KV_GET, KV_GET, KV_GET, KV_SET, KV_SET, KV_DELETE};
	enum kv_op op = ops[below(client, 8)];
	uint32_t bytes = op == KV_SET ? 8 + some_size(client) : 0;
	uint64_t seed = next_random(client);
	char key[32];

	snprintf(key, sizeof(key), "shared/%u", below(client, SHARED_KEYS));
	expected->op = op;
	expected->shared = true;
	unsigned char *value = put_request(client, op, key, bytes);

	if (op == KV_SET) {
		memcpy(value, &seed, 8);
		fill(value + 8, seed, 0, bytes - 8);
	}
}

static void ask_own(struct kv_client *client, struct expected *expected)
{
	static const enum kv_op ops[16] = {KV_GET, KV_GET, KV_GET, KV_GET, KV_GET, KV_GET, KV_GET,
	        KV_GET, KV_SET, KV_SET, KV_SET, KV_SET, KV_SET, KV_APPEND, KV_APPEND, KV_DELETE};
	unsigned index = below(client, client->keys_count), op = ops[below(client, 16)];
	struct known *known = &client->keys[index];
	char key[KV_KEY_MAX];
	uint32_t bytes = 0, from = 0;

	/* Keys of 16 to 200 bytes, as long as their number says. */
	snprintf(key, sizeof(key), "client/%04u/%0*u", client->id, 4 + (int)(index % 185), index);
	if (op == KV_APPEND && known->bytes > APPENDED_BYTES_MAX)
		op = KV_GET;
	if (op == KV_SET) {
		bytes = some_size(client);
		known->seed = next_random(client);
		known->bytes = bytes;
		known->there = true;
	} else if (op == KV_APPEND) {
		bytes = 1 + below(client, 4096);
		from = known->bytes;
		if (known->there)
			known->bytes += bytes;
	}
	expected->op = op;
	expected->shared = false;
	expected->known = *known;
	fill(put_request(client, op, key, bytes), known->seed, from, bytes);
	if (op == KV_DELETE)
		known->there = false;
}

static bool send_all(int fd, const unsigned char *from, size_t bytes)
{
	while (bytes > 0) {
		ssize_t sent = send(fd, from, bytes, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		from += sent;
		bytes -= (size_t)sent;
	}
	return true;
}

static bool receive_all(int fd, void *to, size_t bytes)
{
	unsigned char *at = to;

	while (bytes > 0) {
		ssize_t got = recv(fd, at, bytes, MSG_WAITALL);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		at += got;
		bytes -= (size_t)got;
	}
	return true;
}

static bool value_is_right(
        const unsigned char *value, size_t bytes, const struct expected *expected)
{
	uint64_t seed;

	if (!expected->shared)
		return bytes == expected->known.bytes &&
		       matches(value, expected->known.seed, bytes);
	if (bytes < 8)
		return false;
	memcpy(&seed, value, 8);
	return matches(value + 8, seed, bytes - 8);
}

static bool answer_is_right(const struct kv_client *client, const struct kv_answer_head *head,
        const struct expected *expected)
{
	bool ok = head->status == KV_OK;

	if (!expected->shared && ok != expected->known.there)
		return false;
	if (expected->op != KV_GET || !ok)
		return head->value_bytes == 0 && (ok || expected->op != KV_SET);
	return value_is_right(client->in, head->value_bytes, expected);
}

static bool check_answer(struct kv_client *client, const struct expected *expected)
{
	struct kv_answer_head head;

	if (!receive_all(client->fd, &head, sizeof(head)) || head.value_bytes > KV_VALUE_MAX)
		return false;
	if (head.value_bytes > client->in_room) {
		free(client->in);
		client->in_room = head.value_bytes;
		client->in = kv_malloc(client->in_room);
	}
	if (!receive_all(client->fd, client->in, head.value_bytes))
		return false;
	atomic_fetch_add_explicit(&client->totals->requests, 1, memory_order_relaxed);
	if (!answer_is_right(client, &head, expected))
		return false;
	if (head.value_bytes > 0) {
		atomic_fetch_add_explicit(&client->totals->verified, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(
		        &client->totals->bytes, head.value_bytes, memory_order_relaxed);
	}
	return true;
}

static bool one_batch(struct kv_client *client)
{
	client->out_bytes = 0;
	for (unsigned i = 0; i < BATCH; i++) {
		if (below(client, SHARED_ONE_IN) == 0)
			ask_shared(client, &client->expected[i]);
		else
			ask_own(client, &client->expected[i]);
	}
	if (!send_all(client->fd, client->out, client->out_bytes))
		return false;
	for (unsigned i = 0; i < BATCH; i++) {
		if (!check_answer(client, &client->expected[i]))
			return false;
	}
	return true;
}

void kv_client_turn(struct kv_client *client, double until, const _Atomic bool *stop)
{
	while (!atomic_load_explicit(stop, memory_order_relaxed) && kv_now() < until) {
		if (client->fd < 0) {
			client->fd = kv_server_connect(client->server);
			client->batches_left = 1 + below(client, BATCHES_PER_CONNECTION);
			atomic_fetch_add_explicit(
			        &client->totals->connections, 1, memory_order_relaxed);
		}
		if (client->fd < 0 || !one_batch(client)) {
			/* What the server holds is unknown now: the client stops for good. */
			atomic_fetch_add_explicit(&client->totals->errors, 1, memory_order_relaxed);
			disconnect(client);
			return;
		}
		if (--client->batches_left == 0)
			disconnect(client);
	}
}
