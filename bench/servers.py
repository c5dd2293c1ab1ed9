#!/usr/bin/env -S python3 -B
"""Real servers under load: throughput, peak memory, and memory five seconds
after the load has ended.

Results are in build/bench: servers.md, servers.json, servers.png.
"""

import fnmatch
import os
import subprocess
import sys

import allocators as alloc
import harness
import stats
from allocators import GLIBC, HAKMEM, JEMALLOC, MIMALLOC, TCMALLOC, BenchError
from tables import number, plot, ratio_of

ROUNDS = 3
SECONDS = 580
TIMEOUT_S = 120
SERVERS = {
    "redis": "requests of redis-benchmark: values grow, containers fill, 9 of 10 keys are deleted",
    "memcached": "values checked by five clients, 10 B to 1.5 MB, with evictions",
    "nginx": "requests of wrk to two workers: plain, compressed, proxied",
    "mariadb": "transactions of sysbench from 16 connections",
    "rocksdb": "overwrites by db_bench with 4 threads; 2,560 reads a second go on in the idle time",
    "rocksdb-shell": "puts, gets and deletes by one thread of ldb",
}
# A program may bring another allocator along: plain glibc has to be asked for as well.
LIBC = f"{alloc.LIB_DIR}/libc.so.6"


def start(allocator, server, seed, notify):
    """bench/server.sh proves from the loader's log that the server's malloc is this allocator's."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "server.sh")
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C",
        "HAK_LIB": allocator.path or LIBC,
        "BENCH_OPTIONS": " ".join(f"{key}={value}" for key, value in allocator.options.items()),
        "NOTIFY_FD": str(notify),
    }
    return subprocess.Popen(
        [script, server, str(seed)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=(notify,),
    )


def run_round(report, runs, servers, allocators, turn, rounds):
    """A server's idle time passes beside the load of the next one."""
    at = turn % len(allocators)
    running = []
    for server in servers:
        for allocator in allocators[at:] + allocators[:at]:
            report.progress.show(f"round {turn + 1} of {rounds}: {server}, {allocator.name}")
            process = harness.until_idle(lambda fd, a=allocator, s=server: start(a, s, 1 + turn, fd), TIMEOUT_S)
            running.append((server, allocator, process))
            if len(running) > len(allocators):
                collect(runs, *running.pop(0))
    for entry in running:
        collect(runs, *entry)


def collect(runs, server, allocator, process):
    runs.add(server, allocator.name, lambda: alloc.finish(allocator, process, TIMEOUT_S))


def rate(result):
    return result["ops"] * 1e9 / result["wall_ns"]


def best(runs, server, allocators, key):
    found = [runs.median(server, allocator.name, key) for allocator in allocators]
    return min((value for value in found if value is not None), default=None)


def add_table(report, runs, server, allocators):
    rows = []
    for allocator in allocators:
        name = allocator.name
        memory = {key: runs.median(server, name, key) for key in ("peak_kib", "after_kib", "idle_kib")}
        rates = runs.column(server, name, rate)
        low_high = "-" if None in rates else f"{number(min(rates))} to {number(max(rates))}"
        rows.append(
            [
                name,
                number(runs.median(server, name, rate)),
                low_high,
                ratio_of(runs.median(server, name, rate), runs.median(server, GLIBC, rate)),
                *(number(None if kib is None else kib / 1024) for kib in memory.values()),
                ratio_of(memory["peak_kib"], best(runs, server, allocators, "peak_kib")),
                ratio_of(memory["idle_kib"], best(runs, server, allocators, "idle_kib")),
            ]
        )
    header = ["", "per second", "all runs", "/ glibc", "peak MiB", "MiB after load", "MiB 5 s later"]
    header += ["peak / best", "idle / best"]
    report.add(f"{server}: {SERVERS[server]}", "", header, rows)


def draw(runs, servers, allocators, out):
    lines = [" ".join(["server", *(allocator.name for allocator in allocators)])]
    for server in servers:
        for key, word in (("peak_kib", "peak"), ("idle_kib", "idle")):
            least = best(runs, server, allocators, key)
            values = [runs.median(server, allocator.name, key) for allocator in allocators]
            cells = ["NaN" if value is None else f"{value / least:.4f}" for value in values]
            lines.append(" ".join([f"{server}-{word}", *cells]))
    data = f"{out}/servers.dat"
    with open(data, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    plot("bars.gp", data, f"{out}/servers.png", len(allocators), "resident memory / the least of all")


def run(options):
    patterns = [word for word in options.tests.split(",") if word]
    servers = [s for s in SERVERS if not patterns or any(fnmatch.fnmatch(s, p) for p in patterns)]
    if not servers:
        raise BenchError(f"--tests: nothing matches {options.tests}")
    allocators = harness.find_allocators(options)
    report = harness.Report("servers", "Servers under load", allocators)
    runs = harness.Runs()
    for turn in range(options.rounds):
        spent = report.progress.elapsed()
        if turn and spent * (turn + 1) / turn > options.seconds:
            report.progress.show(f"stopping after {turn} rounds to stay within {options.seconds} s", force=True)
            break
        report.check_identities()
        run_round(report, runs, servers, allocators, turn, options.rounds)
    for server in servers:
        add_table(report, runs, server, allocators)
    os.makedirs(options.out, exist_ok=True)
    draw(runs, servers, allocators, options.out)
    return report.write(options.out, runs, "servers.png")


def main():
    parser = harness.parser(__doc__, ROUNDS)
    parser.set_defaults(allocators=",".join((HAKMEM, MIMALLOC, JEMALLOC, TCMALLOC)))
    parser.add_argument("--seconds", type=int, default=SECONDS, help="fewer rounds rather than more time")
    return harness.main(run, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
