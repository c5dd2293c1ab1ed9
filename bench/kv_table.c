/*
 * kv_table.c: the server's table: shards with a mutex each, chained buckets that
 * double, keys and values in blocks of their own. A value stays alive while an
 * answer is being written from it, so its last reference is often dropped by a
 * thread that neither made nor stored it.
 */
#include "kv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARDS 64u
#define BUCKETS_FIRST 16u

struct entry {
	struct entry *next;
	struct kv_value *value;
	uint64_t hash;
	size_t key_bytes;
	char key[];
};

struct shard {
	pthread_mutex_t lock;
	struct entry **buckets;
	size_t bucket_count;
	size_t entry_count;
};

struct kv_table {
	struct shard shards[SHARDS];
};

void kv_die(const char *what)
{
	perror(what);
	exit(1);
}

void *kv_malloc(size_t bytes)
{
	void *block = malloc(bytes);

	if (!block)
		kv_die("kv_server: malloc");
	return block;
}

void *kv_realloc(void *block, size_t bytes)
{
	block = realloc(block, bytes);
	if (!block)
		kv_die("kv_server: realloc");
	return block;
}

struct kv_value *kv_value_new(uint32_t bytes)
{
	struct kv_value *value = kv_malloc(sizeof(*value) + bytes);

	atomic_init(&value->refs, 1);
	value->bytes = bytes;
	return value;
}

void kv_value_release(struct kv_value *value)
{
	if (value && atomic_fetch_sub_explicit(&value->refs, 1, memory_order_acq_rel) == 1)
		free(value);
}

static uint64_t hash_key(const char *key, size_t bytes)
{
	uint64_t hash = 0x9E3779B97F4A7C15u ^ bytes;

	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ (unsigned char)key[i]) * 0x100000001B3u;
	return hash ^ (hash >> 29);
}

static struct shard *shard_of(struct kv_table *table, uint64_t hash)
{
	return &table->shards[(hash >> 48) % SHARDS];
}

/* Where the pointer to the key's entry is, or the end of its chain. */
static struct entry **find(struct shard *shard, uint64_t hash, const char *key, size_t bytes)
{
	struct entry **at = &shard->buckets[hash & (shard->bucket_count - 1)];

	for (; *at; at = &(*at)->next) {
		struct entry *entry = *at;

		if (entry->hash == hash && entry->key_bytes == bytes &&
		        memcmp(entry->key, key, bytes) == 0)
			break;
	}
	return at;
}

static void grow(struct shard *shard)
{
	size_t count = shard->bucket_count * 2;
	struct entry **buckets = calloc(count, sizeof(struct entry *));

	if (!buckets)
		kv_die("kv_server: calloc");
	for (size_t i = 0; i < shard->bucket_count; i++) {
		struct entry *entry = shard->buckets[i];

		while (entry) {
			struct entry *next = entry->next;
			struct entry **head = &buckets[entry->hash & (count - 1)];

			entry->next = *head;
			*head = entry;
			entry = next;
		}
	}
	free(shard->buckets);
	shard->buckets = buckets;
	shard->bucket_count = count;
}

struct kv_table *kv_table_new(void)
{
	struct kv_table *table = kv_malloc(sizeof(*table));

	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *shard = &table->shards[i];

		pthread_mutex_init(&shard->lock, NULL);
		shard->entry_count = 0;
		shard->bucket_count = BUCKETS_FIRST;
		shard->buckets = calloc(BUCKETS_FIRST, sizeof(struct entry *));
		if (!shard->buckets)
			kv_die("kv_server: calloc");
	}
	return table;
}

void kv_table_free(struct kv_table *table)
{
	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *shard = &table->shards[i];

		for (size_t b = 0; b < shard->bucket_count; b++) {
			struct entry *entry = shard->buckets[b];

			while (entry) {
				struct entry *next = entry->next;

				kv_value_release(entry->value);
				free(entry);
				entry = next;
			}
		}
		free(shard->buckets);
		pthread_mutex_destroy(&shard->lock);
	}
	free(table);
}

struct kv_value *kv_table_get(struct kv_table *table, const char *key, size_t key_bytes)
{
	uint64_t hash = hash_key(key, key_bytes);
	struct shard *shard = shard_of(table, hash);
	struct kv_value *value = NULL;

	pthread_mutex_lock(&shard->lock);
	struct entry *entry = *find(shard, hash, key, key_bytes);

	if (entry) {
		value = entry->value;
		atomic_fetch_add_explicit(&value->refs, 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&shard->lock);
	return value;
}

struct kv_value *kv_table_set(
        struct kv_table *table, const char *key, size_t key_bytes, struct kv_value *value)
{
	uint64_t hash = hash_key(key, key_bytes);
	struct shard *shard = shard_of(table, hash);
	struct kv_value *old = NULL;

	pthread_mutex_lock(&shard->lock);
	struct entry **at = find(shard, hash, key, key_bytes);

	if (*at) {
		old = (*at)->value;
		(*at)->value = value;
	} else {
		struct entry *entry = kv_malloc(sizeof(*entry) + key_bytes);

		entry->next = NULL;
		entry->value = value;
		entry->hash = hash;
		entry->key_bytes = key_bytes;
		memcpy(entry->key, key, key_bytes);
		*at = entry;
		if (++shard->entry_count > 2 * shard->bucket_count)
			grow(shard);
	}
	pthread_mutex_unlock(&shard->lock);
	return old;
}

/* The value with the tail behind it: in place where only the table holds it. */
static struct kv_value *lengthened(struct kv_value *value, const struct kv_value *tail)
{
	uint32_t bytes = value->bytes + tail->bytes;
	struct kv_value *longer;

	if (atomic_load_explicit(&value->refs, memory_order_acquire) == 1) {
		longer = kv_realloc(value, sizeof(*value) + bytes);
		memcpy(longer->data + longer->bytes, tail->data, tail->bytes);
		longer->bytes = bytes;
		return longer;
	}
	longer = kv_value_new(bytes);
	memcpy(longer->data, value->data, value->bytes);
	memcpy(longer->data + value->bytes, tail->data, tail->bytes);
	kv_value_release(value);
	return longer;
}

bool kv_table_append(
        struct kv_table *table, const char *key, size_t key_bytes, const struct kv_value *tail)
{
	uint64_t hash = hash_key(key, key_bytes);
	struct shard *shard = shard_of(table, hash);

	pthread_mutex_lock(&shard->lock);
	struct entry *entry = *find(shard, hash, key, key_bytes);
	bool fits = entry && tail->bytes <= KV_VALUE_MAX - entry->value->bytes;

	if (fits)
		entry->value = lengthened(entry->value, tail);
	pthread_mutex_unlock(&shard->lock);
	return fits;
}

struct kv_value *kv_table_delete(struct kv_table *table, const char *key, size_t key_bytes)
{
	uint64_t hash = hash_key(key, key_bytes);
	struct shard *shard = shard_of(table, hash);
	struct kv_value *old = NULL;

	pthread_mutex_lock(&shard->lock);
	struct entry **at = find(shard, hash, key, key_bytes);
	struct entry *entry = *at;

	if (entry) {
		old = entry->value;
		*at = entry->next;
		shard->entry_count--;
		free(entry);
	}
	pthread_mutex_unlock(&shard->lock);
	return old;
}
