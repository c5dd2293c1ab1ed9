"""Counts the system calls of a program exactly, by strace."""

import os
import re
import subprocess
import tempfile

import allocators as alloc
from allocators import BenchError

# How often a thread gives way while it waits says nothing about the allocator.
# "total" is strace's own sum.
IGNORED = ("sched_yield", "total")


# Calls that give memory back; the advice to populate or to use huge pages does not.
GIVING = re.compile(r"\bmadvise\(.*MADV_(DONTNEED|FREE)|process_madvise\(.*MADV_(DONTNEED|FREE)|\b(munmap|brk)\(")
MARK = re.compile(r"\bgetppid\(")


def _traced(allocator, options, command, timeout_s):
    """(result, lines of strace's output) of a whole run with all its threads. The result's times
    are strace's, not the program's."""
    environment = allocator.environment()
    words = [word for key, value in environment.items() for word in ("-E", f"{key}={value}")]
    with tempfile.TemporaryDirectory() as directory:
        table = os.path.join(directory, "table")
        traced = ["strace", "-f", "-qq", *options, "-o", table, *words, *command]
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
            return result, file.read().splitlines()


def counts(allocator, command, timeout_s=120):
    """{name: calls} of a whole run."""
    _, lines = _traced(allocator, ["-c", "-U", "calls,name"], command, timeout_s)
    rows = [line.split() for line in lines]
    found = {row[1]: int(row[0]) for row in rows if len(row) == 2 and row[0].isdigit()}
    return {name: calls for name, calls in found.items() if name not in IGNORED}


def giving_back(allocator, command, timeout_s=120):
    """(result, calls) where the calls between the program's two marks that give memory back count."""
    names = "trace=madvise,process_madvise,munmap,brk,getppid"
    result, lines = _traced(allocator, ["-e", names], command, timeout_s)
    marks = [number for number, line in enumerate(lines) if MARK.search(line)]
    if len(marks) != 2:
        raise BenchError(f"{allocator.name}: {' '.join(command)}: {len(marks)} marks, not 2")
    return result, sum(bool(GIVING.search(line)) for line in lines[marks[0] : marks[1]])


def difference(more, less):
    """What the longer run called beyond the shorter one, by name."""
    names = sorted({*more, *less})
    both = {name: more.get(name, 0) - less.get(name, 0) for name in names}
    return {name: calls for name, calls in both.items() if calls}
