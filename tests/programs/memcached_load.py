# memcached_load.py: loads a memcached on 127.0.0.1 from several processes and checks every answer.
# usage: memcached_load.py PORT SECONDS. Prints how many values were checked, stored, and refused for
# want of room in the cache; exits 1 on a wrong answer.
import hashlib
import multiprocessing
import random
import socket
import sys
import time


class Client:
    def __init__(self, port):
        self.port = port
        self.connect()

    def connect(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), 20)
        self.file = self.socket.makefile("rb")

    def reconnect(self):
        self.file.close()
        self.socket.close()
        self.connect()

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        line = self.file.readline()
        assert line.endswith(b"\r\n"), line
        return line[:-2]

    def store(self, verb, key, value):
        self.send(b"%s %s 0 0 %d\r\n%s\r\n" % (verb, key, len(value), value))
        return self.line()

    def delete(self, key):
        self.send(b"delete %s\r\n" % key)
        answer = self.line()
        assert answer in (b"DELETED", b"NOT_FOUND"), answer

    def get(self, keys):
        self.send(b"get " + b" ".join(keys) + b"\r\n")
        found = {}
        while (line := self.line()) != b"END":
            word, key, flags, size = line.split()
            assert word == b"VALUE", line
            found[key] = self.file.read(int(size))
            assert self.file.read(2) == b"\r\n"
        return found


def value_of(rng):
    size = rng.choice((10, 100, 700, 3000, 20000, 120000))
    if rng.random() < 0.01:
        size = 1500000
    size += rng.randrange(size)
    return hashlib.sha256(rng.randbytes(8)).digest() * (size // 32 + 1)


def refused(answer):
    """Whether the cache found no room: what it could evict was in use at that moment."""
    return answer.lower().startswith(b"server_error out of memory")


def work(port, seconds, seed, results):
    rng = random.Random(seed)
    client = Client(port)
    known, checked, stored, refusals = {}, 0, 0, 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        key = b"w%d-%d" % (seed, rng.randrange(300))
        action = rng.random()
        if action < 0.4:
            known[key] = value_of(rng)
            answer = client.store(b"set", key, known[key])
            if refused(answer):
                # An older value may or may not have stayed.
                refusals += 1
                del known[key]
                client.delete(key)
            else:
                assert answer == b"STORED", answer
                stored += 1
        elif action < 0.5 and key in known and len(known[key]) < 200000:
            tail = b"t" * rng.randrange(1, 500)
            answer = client.store(b"append", key, tail)
            if answer == b"STORED":
                known[key] += tail
            else:
                assert answer == b"NOT_STORED" or refused(answer), answer
        elif action < 0.57:
            client.delete(key)
            known.pop(key, None)
        elif action < 0.58:
            client.reconnect()
        else:
            keys = [b"w%d-%d" % (seed, rng.randrange(300)) for _ in range(rng.randrange(1, 20))]
            for name, value in client.get(keys).items():
                # The cache may drop a key for room, but never answer with another value.
                assert known.get(name) == value, "wrong value of %r" % name
                checked += 1
    counter = b"counter%d" % seed
    client.store(b"set", counter, b"0")
    for _ in range(500):
        client.send(b"incr %s 3\r\n" % counter)
        last = client.line()
    assert last == b"1500", last
    results.put((checked, stored, refusals))


def main():
    port, seconds = int(sys.argv[1]), float(sys.argv[2])
    results = multiprocessing.Queue()
    workers = [multiprocessing.Process(target=work, args=(port, seconds, seed, results))
               for seed in range(1, 6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        sys.exit(1)
    print(*map(sum, zip(*(results.get() for _ in workers))))


main()
