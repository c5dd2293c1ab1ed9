/*
 * kv_conn.c: one connection of the server, driven by whichever worker thread has
 * it. Never blocks: what cannot be written now waits in a queue that holds
 * references to the values, not copies. A value that is being set is received
 * straight into the block that the table will keep.
 */
#include "kv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define IN_BYTES 16384u
#define READS_PER_TURN 16

struct answer {
	struct answer *next;
	struct kv_value *value; /* or NULL */
	size_t sent;            /* of the head and the value together */
	struct kv_answer_head head;
};

enum stage { WANT_HEAD, WANT_KEY, WANT_VALUE };

struct kv_conn {
	struct kv_server *server;
	int fd;
	enum stage stage;
	struct kv_request_head head;
	char *key;
	struct kv_value *value;
	size_t got; /* of the stage's bytes */
	size_t in_from, in_to;
	struct answer *first, **last;
	unsigned char in[IN_BYTES];
};

struct kv_conn *kv_conn_new(struct kv_server *server, int fd)
{
	struct kv_conn *conn = kv_malloc(sizeof(*conn));

	conn->server = server;
	conn->fd = fd;
	conn->stage = WANT_HEAD;
	conn->key = NULL;
	conn->value = NULL;
	conn->got = conn->in_from = conn->in_to = 0;
	conn->first = NULL;
	conn->last = &conn->first;
	return conn;
}

void kv_conn_free(struct kv_conn *conn)
{
	while (conn->first) {
		struct answer *answer = conn->first;

		conn->first = answer->next;
		kv_value_release(answer->value);
		free(answer);
	}
	free(conn->key);
	kv_value_release(conn->value);
	close(conn->fd);
	free(conn);
}

int kv_conn_fd(const struct kv_conn *conn)
{
	return conn->fd;
}

bool kv_conn_wants_write(const struct kv_conn *conn)
{
	return conn->first != NULL;
}

static void queue_answer(struct kv_conn *conn, enum kv_status status, struct kv_value *value)
{
	struct answer *answer = kv_malloc(sizeof(*answer));

	answer->next = NULL;
	answer->value = value;
	answer->sent = 0;
	answer->head.status = status;
	answer->head.value_bytes = value ? value->bytes : 0;
	*conn->last = answer;
	conn->last = &answer->next;
}

/* Serves the request that is complete, and makes ready for the next. */
static void serve_one(struct kv_conn *conn)
{
	struct kv_table *table = kv_server_table(conn->server);
	size_t bytes = conn->head.key_bytes;
	struct kv_value *value = NULL;
	enum kv_status status = KV_OK;

	switch (conn->head.op) {
	case KV_GET:
		value = kv_table_get(table, conn->key, bytes);
		status = value ? KV_OK : KV_MISSING;
		break;
	case KV_SET:
		kv_value_release(kv_table_set(table, conn->key, bytes, conn->value));
		conn->value = NULL;
		break;
	case KV_APPEND:
		if (!kv_table_append(table, conn->key, bytes, conn->value))
			status = KV_MISSING;
		break;
	default: {
		struct kv_value *old = kv_table_delete(table, conn->key, bytes);

		status = old ? KV_OK : KV_MISSING;
		kv_server_discard(conn->server, old);
	}
	}
	queue_answer(conn, status, value);
	free(conn->key);
	kv_value_release(conn->value);
	conn->key = NULL;
	conn->value = NULL;
	conn->stage = WANT_HEAD;
	conn->got = 0;
}

static bool head_is_good(const struct kv_request_head *head)
{
	bool carries = head->op == KV_SET || head->op == KV_APPEND;

	return head->op >= KV_GET && head->op <= KV_DELETE && head->key_bytes > 0 &&
	       head->key_bytes <= KV_KEY_MAX && head->value_bytes <= KV_VALUE_MAX &&
	       (carries || head->value_bytes == 0);
}

/* Where the next bytes of the request go, and how many are missing. */
static unsigned char *wanted(struct kv_conn *conn, size_t *missing)
{
	unsigned char *to = (unsigned char *)&conn->head;
	size_t whole = sizeof(conn->head);

	if (conn->stage == WANT_KEY) {
		to = (unsigned char *)conn->key;
		whole = conn->head.key_bytes;
	} else if (conn->stage == WANT_VALUE) {
		to = conn->value->data;
		whole = conn->head.value_bytes;
	}
	*missing = whole - conn->got;
	return to + conn->got;
}

/* Moves on while the stage has all its bytes. False for a bad request. */
static bool advance(struct kv_conn *conn)
{
	size_t missing;

	for (wanted(conn, &missing); missing == 0; wanted(conn, &missing)) {
		if (conn->stage == WANT_HEAD) {
			if (!head_is_good(&conn->head))
				return false;
			conn->key = kv_malloc(conn->head.key_bytes);
			conn->stage = WANT_KEY;
		} else if (conn->stage == WANT_KEY &&
		           (conn->head.op == KV_SET || conn->head.op == KV_APPEND)) {
			conn->value = kv_value_new(conn->head.value_bytes);
			conn->stage = WANT_VALUE;
		} else {
			serve_one(conn);
		}
		conn->got = 0;
	}
	return true;
}

static bool take_buffered(struct kv_conn *conn)
{
	while (conn->in_from < conn->in_to) {
		size_t have = conn->in_to - conn->in_from, missing;
		unsigned char *to = wanted(conn, &missing);
		size_t bytes = have < missing ? have : missing;

		memcpy(to, conn->in + conn->in_from, bytes);
		conn->in_from += bytes;
		conn->got += bytes;
		if (!advance(conn))
			return false;
	}
	conn->in_from = conn->in_to = 0;
	return true;
}

/* One read: a long value goes to its place, the rest behind it to the buffer. */
static ssize_t receive(struct kv_conn *conn)
{
	size_t missing;
	unsigned char *to = wanted(conn, &missing);
	struct iovec parts[2] = {{to, missing}, {conn->in, IN_BYTES}};
	bool direct = conn->stage == WANT_VALUE;
	ssize_t bytes = readv(conn->fd, direct ? parts : parts + 1, direct ? 2 : 1);

	if (bytes <= 0)
		return bytes;
	size_t into = direct ? ((size_t)bytes < missing ? (size_t)bytes : missing) : 0;

	conn->got += into;
	conn->in_to = (size_t)bytes - into;
	return bytes;
}

static bool write_answers(struct kv_conn *conn)
{
	while (conn->first) {
		struct answer *answer = conn->first;
		size_t head = sizeof(answer->head), body = answer->head.value_bytes;
		size_t skip_head = answer->sent < head ? answer->sent : head;
		size_t skip_body = answer->sent - skip_head;
		struct iovec parts[2] = {
		        {(char *)&answer->head + skip_head, head - skip_head},
		        {body ? answer->value->data + skip_body : NULL, body - skip_body},
		};
		struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
		ssize_t bytes = sendmsg(conn->fd, &message,
		        MSG_NOSIGNAL | MSG_DONTWAIT | (answer->next ? MSG_MORE : 0));

		if (bytes < 0)
			return errno == EAGAIN || errno == EINTR;
		answer->sent += (size_t)bytes;
		if (answer->sent < head + body)
			continue;
		conn->first = answer->next;
		if (!conn->first)
			conn->last = &conn->first;
		kv_value_release(answer->value);
		free(answer);
	}
	return true;
}

bool kv_conn_serve(struct kv_conn *conn)
{
	for (int i = 0; i < READS_PER_TURN; i++) {
		ssize_t bytes = receive(conn);

		if (bytes == 0)
			return false;
		if (bytes < 0) {
			if (errno != EAGAIN && errno != EINTR)
				return false;
			break;
		}
		if (!advance(conn) || !take_buffered(conn))
			return false;
	}
	return write_answers(conn);
}
