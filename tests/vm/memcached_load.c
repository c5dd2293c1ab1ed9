/*
 * memcached_load.c: load for a memcached on 127.0.0.1, which checks every value.
 *
 *   memcached_load PORT CONNECTIONS REQUESTS    each sets values of 10 to 20,000 bytes and gets them
 *
 * Prints "right" when every answer was.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { VALUE_MAX = 20000, KEYS = 200 };

static int port;
static unsigned requests;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int dial(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int one = 1, file = socket(AF_INET, SOCK_STREAM, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (file < 0 || connect(file, (struct sockaddr *)&to, sizeof to) != 0)
		die("connect");
	setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return file;
}

static void send_all(int file, const char *data, size_t bytes)
{
	while (bytes) {
		ssize_t n = write(file, data, bytes);

		if (n <= 0)
			die("write");
		data += n;
		bytes -= (size_t)n;
	}
}

static void expect(int file, const char *wanted, size_t bytes)
{
	static __thread char got[VALUE_MAX + 200];
	size_t have = 0;

	while (have < bytes) {
		ssize_t n = read(file, got + have, bytes - have);

		if (n <= 0)
			die("read");
		have += (size_t)n;
	}
	if (memcmp(got, wanted, bytes) != 0) {
		fprintf(stderr, "memcached_load: wrong answer: %.60s\n", got);
		exit(1);
	}
}

static void *work(void *argument)
{
	static __thread char text[VALUE_MAX + 200], value[VALUE_MAX];
	unsigned id = (unsigned)(uintptr_t)argument, random = id + 1;
	int file = dial();

	for (unsigned i = 0; i < requests; i++) {
		random = random * 1664525 + 1013904223;
		unsigned key = random >> 8 & (KEYS - 1),
			 bytes = 10 + (random >> 12) % (VALUE_MAX - 10);
		int n;

		memset(value, 'a' + (int)(i % 26), bytes);
		n = snprintf(text, sizeof text, "set k%u-%u 0 0 %u\r\n", id, key, bytes);
		memcpy(text + n, value, bytes);
		memcpy(text + n + bytes, "\r\n", 2);
		send_all(file, text, (size_t)n + bytes + 2);
		expect(file, "STORED\r\n", 8);
		n = snprintf(text, sizeof text, "get k%u-%u\r\n", id, key);
		send_all(file, text, (size_t)n);
		n = snprintf(text, sizeof text, "VALUE k%u-%u 0 %u\r\n", id, key, bytes);
		memcpy(text + n, value, bytes);
		memcpy(text + n + bytes, "\r\nEND\r\n", 7);
		expect(file, text, (size_t)n + bytes + 7);
	}
	close(file);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread[64];
	int count = argc == 4 ? atoi(argv[2]) : 0;

	if (count < 1 || count > 64) {
		fprintf(stderr, "usage: memcached_load PORT CONNECTIONS REQUESTS\n");
		return 2;
	}
	port = atoi(argv[1]);
	requests = (unsigned)atoi(argv[3]);
	for (int i = 0; i < count; i++)
		if (pthread_create(&thread[i], NULL, work, (void *)(uintptr_t)i) != 0)
			die("pthread_create");
	for (int i = 0; i < count; i++)
		pthread_join(thread[i], NULL);
	puts("right");
	return 0;
}
