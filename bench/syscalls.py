"""Counts the system calls of a program exactly, by strace."""

import os
import subprocess
import tempfile

import allocators as alloc
from allocators import BenchError

# How often a thread gives way while it waits says nothing about the allocator.
# "total" is strace's own sum.
IGNORED = ("sched_yield", "total")


def counts(allocator, command, timeout_s=120):
    """(result, {name: calls}) of a whole run with all its threads. The result's times are
    strace's, not the program's."""
    environment = allocator.environment()
    words = [word for key, value in environment.items() for word in ("-E", f"{key}={value}")]
    with tempfile.TemporaryDirectory() as directory:
        table = os.path.join(directory, "table")
        traced = ["strace", "-f", "-c", "-qq", "-U", "calls,name", "-o", table, *words, *command]
        what = f"{allocator.name}: strace {' '.join(command)}"
        try:
            done = subprocess.run(traced, capture_output=True, text=True, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{what}: still running after {timeout_s} s") from None
        if done.returncode:
            raise BenchError(f"{what}: {alloc.ending(done.returncode, done.stderr)}")
        result = alloc.parse_result(done.stdout)
        allocator.check(result)
        with open(table, encoding="utf-8") as file:
            rows = [line.split() for line in file]
    found = {row[1]: int(row[0]) for row in rows if len(row) == 2 and row[0].isdigit()}
    return result, {name: calls for name, calls in found.items() if name not in IGNORED}


def difference(more, less):
    """What the longer run called beyond the shorter one, by name."""
    names = sorted({*more, *less})
    both = {name: more.get(name, 0) - less.get(name, 0) for name in names}
    return {name: calls for name, calls in both.items() if calls}
