#!/usr/bin/env -S python3 -B
"""Counts instructions per malloc and free by callgrind, for every allocator.

The counting program runs with N and with 2N blocks; the difference over N is
the cost of one pair, the call and the loop included, start-up excluded.
"""

import argparse
import re
import subprocess
import sys

import allocators as alloc
from allocators import HAKMEM, BenchError

# Column: arguments and N. The batch lives through 10 rounds more in the longer run.
COLUMNS = {
    "16B": ({"size": 16}, 100000),
    "1KiB": ({"size": 1024}, 100000),
    "64KiB": ({"size": 65536}, 20000),
    "batch": ({"size": 64, "live": 10000}, 100000),
}


def collected(allocator, program, args, ops):
    words = [f"{key}={value}" for key, value in args.items()]
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, f"ops={ops}", *words]
    done = subprocess.run(
        command, env=allocator.environment(), capture_output=True, text=True, timeout=300, check=False
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        raise BenchError(f"{allocator.name}: callgrind: {alloc.ending(done.returncode, done.stderr)}")
    allocator.check(alloc.parse_result(done.stdout))
    return int(found.group(1))


def per_pair(allocator, program, column):
    args, ops = COLUMNS[column]
    once = collected(allocator, program, args, ops)
    return (collected(allocator, program, args, 2 * ops) - once) / ops


def count_all(options):
    """Prints a row per allocator as it is counted; returns hakmem's row."""
    program = f"{options.programs}/bench_count"
    rows = {}
    print(f"{'instructions per pair':24}" + "".join(f"{column:>9}" for column in COLUMNS), flush=True)
    for allocator in alloc.find(options.hakmem, []):
        print(f"{allocator.name:24}", end="", flush=True)
        rows[allocator.name] = [per_pair(allocator, program, column) for column in COLUMNS]
        print("".join(f"{count:9.1f}" for count in rows[allocator.name]), flush=True)
    return rows.get(HAKMEM)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hakmem", default="", help="the library (default build/libhakmem.so if it exists)")
    parser.add_argument("--programs", default="build/bench/gcc", help="directory of the benchmark programs")
    try:
        row = count_all(parser.parse_args())
    except (BenchError, OSError, subprocess.TimeoutExpired) as error:
        print(f"\ninstructions: {error}", file=sys.stderr)
        return 2
    counts = [f"{count:.0f}" for count in row] if row else ["-"] * len(COLUMNS)
    print("instructions: " + " ".join(f"{column} {count}" for column, count in zip(COLUMNS, counts)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
