"""What the benchmarks with a runner of their own share: options, progress,
repeated runs that may fail, and a report of tables."""

import argparse
import json
import os
import select
import sys
import time
from statistics import median

import allocators as alloc
import machine
from allocators import BenchError
from tables import table, text_table


class Progress:
    """One changing line on a terminal, a line every ten seconds elsewhere."""

    def __init__(self):
        self.start = time.monotonic()
        self.last = -10.0
        self.live = sys.stdout.isatty()

    def elapsed(self):
        return time.monotonic() - self.start

    def show(self, text, force=False):
        elapsed = self.elapsed()
        line = f"[{int(elapsed) // 60}:{int(elapsed) % 60:02d}] {text}"
        if self.live:
            print(f"\r\033[K{line}", end="", flush=True)
        elif force or elapsed - self.last >= 10:
            print(line, flush=True)
            self.last = elapsed

    def end(self):
        if self.live:
            print("\r\033[K", end="", flush=True)


def parser(description, rounds):
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--hakmem", default="", help="the library (default build/libhakmem.so if it exists)")
    options.add_argument("--programs", default="build/bench/gcc", help="directory of the benchmark programs")
    options.add_argument("--out", default="build/bench", help="directory of the results")
    options.add_argument("--rounds", type=int, default=rounds, help=f"interleaved rounds (default {rounds})")
    options.add_argument("--tests", default="", help="only these, as patterns: 'mixed*,small'")
    options.add_argument("--allocators", default="", help="only these, by name, beside glibc")
    return options


class Runs:
    """Results by test and allocator, in order; None for a run that failed."""

    def __init__(self):
        self.data = {}
        self.failures = []

    def add(self, test, name, make):
        """Keeps what `make` returns."""
        try:
            result = make()
        except BenchError as error:
            result = None
            self.failures.append(str(error))
            print(f"FAILED {error}", flush=True)
        self.data.setdefault(test, {}).setdefault(name, []).append(result)
        return result

    def column(self, test, name, value):
        """value(result) of every run, None where it failed. `value` may be a key."""
        get = value if callable(value) else lambda result: result[value]
        return [None if result is None else get(result) for result in self.data.get(test, {}).get(name, [])]

    def median(self, test, name, value):
        """None as soon as one run failed: nobody gains by failing."""
        column = self.column(test, name, value)
        return median(column) if column and None not in column else None


class Report:
    """Tables under headings, for the terminal and as Markdown, and all runs as JSON."""

    def __init__(self, name, title, allocators):
        self.name = name
        self.title = title
        self.progress = Progress()
        self.facts = machine.describe(allocators)
        self.identities = [(allocator, allocator.identity()) for allocator in allocators]
        self.sections = []
        self.values = {}
        for key, value in self.facts.items():
            print(f"{key + ':':24}{value}")

    def check_identities(self):
        for allocator, identity in self.identities:
            if allocator.identity() != identity:
                raise BenchError(f"{allocator.path} changed while it was measured: start again")

    def add(self, heading, text, header, rows, terminal=True):
        """`terminal`: whether the table is printed too."""
        self.sections.append((heading, text, header, list(rows), terminal))

    def _markdown(self, picture):
        lines = [f"# {self.title}", "", *(f"- {key}: {value}" for key, value in self.facts.items()), ""]
        for heading, text, header, rows, _ in self.sections:
            lines += [f"## {heading}", "", *([text, ""] if text else []), *table(header, rows)]
        return "\n".join(lines + ([f"![{self.title}]({picture})", ""] if picture else []))

    def write(self, out, runs, picture=""):
        """Prints and writes everything; returns the exit status."""
        self.check_identities()
        self.progress.end()
        self.facts["load after"] = machine.load()
        os.makedirs(out, exist_ok=True)
        for heading, text, header, rows, terminal in self.sections:
            if terminal:
                print("\n".join([heading, *([text] if text else []), *text_table(header, rows), ""]))
        with open(f"{out}/{self.name}.md", "w", encoding="utf-8") as file:
            file.write(self._markdown(picture))
        with open(f"{out}/{self.name}.json", "w", encoding="utf-8") as file:
            values = {"machine": self.facts, "failures": runs.failures, **self.values, "runs": runs.data}
            json.dump(values, file, indent=1)
        for failure in runs.failures:
            print(f"FAILED {failure}")
        files = [f"{self.name}.md", f"{self.name}.json", *([picture] if picture else [])]
        print(f"in {out}: {', '.join(files)} ({self.progress.elapsed():.0f} s)")
        return 1 if runs.failures else 0


def until_idle(start, timeout_s):
    """start(descriptor) begins a process that writes a byte there when it goes idle. Returns the
    process then, or when it has ended, so that the next one can begin meanwhile."""
    reader, writer = os.pipe()
    try:
        process = start(writer)
    finally:
        os.close(writer)
    select.select([reader], [], [], timeout_s)
    os.close(reader)
    return process


def find_allocators(options):
    return alloc.find(options.hakmem, [word for word in options.allocators.split(",") if word])


def main(run, options):
    """Runs `run`; bad input and an interruption end with one line and a status."""
    try:
        return run(options)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nbench: interrupted", file=sys.stderr)
        return 130
