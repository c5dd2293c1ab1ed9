#!/usr/bin/env -S python3 -B
"""Four clients of a redis server with big values, for trace_redis.sh: each asks about
30 times a second, two thirds GET, one third SET, of 64 keys with values of 64 KiB to
8 MiB, every doubling equally likely; every two seconds a report of 16 MiB is stored,
read and deleted.

    trace_redis.py PORT SECONDS SEED
"""

import random
import socket
import sys
import threading
import time

KEYS = 64
LOW_BITS, HIGH_BITS = 16, 23
EVERY_S = 0.033
REPORT_EVERY_S = 2.0
REPORT_BYTES = 16 << 20


class Client(threading.Thread):
    def __init__(self, port, seconds, seed, number):
        super().__init__()
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.answers = self.socket.makefile("rb", buffering=1 << 20)
        self.seconds = seconds
        self.rng = random.Random(f"{seed} {number}")
        self.number = number
        self.failure = None

    def call(self, *words):
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            parts += [b"$%d\r\n" % len(word), word, b"\r\n"]
        self.socket.sendall(b"".join(parts))
        line = self.answers.readline()
        if line.startswith(b"-") or not line:
            raise OSError(line.decode() or "the server is gone")
        if line.startswith(b"$") and int(line[1:]) >= 0:
            self.answers.read(int(line[1:]) + 2)

    def run(self):
        try:
            self._run()
        except OSError as error:
            self.failure = error

    def _run(self):
        begin = at = time.monotonic()
        report = begin + self.number * REPORT_EVERY_S
        while at < begin + self.seconds:
            time.sleep(max(0, at - time.monotonic()))
            key = b"key:%d" % self.rng.randrange(KEYS)
            if self.rng.random() < 2 / 3:
                self.call(b"GET", key)
            else:
                self.call(b"SET", key, b"x" * int(2 ** self.rng.uniform(LOW_BITS, HIGH_BITS)))
            if at >= report:
                report += 4 * REPORT_EVERY_S
                name = b"report:%d" % self.number
                self.call(b"SET", name, b"r" * REPORT_BYTES)
                self.call(b"GET", name)
                self.call(b"DEL", name)
            at += EVERY_S * self.rng.uniform(0.5, 1.5)


def main():
    port, seconds, seed = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    clients = [Client(port, seconds, seed, number) for number in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    failures = [client.failure for client in clients if client.failure]
    if failures:
        sys.exit(f"trace_redis: {failures[0]}")


if __name__ == "__main__":
    main()
