#!/usr/bin/env -S python3 -B
"""Runs every test under every allocator, round robin, and writes the report.

One round runs all tests; within a test the allocators follow each other
directly, in an order that rotates, so that drift of the machine hits all
alike. Results are in build/bench: results.json, report.md, report.png.
"""

import argparse
import fnmatch
import os
import sys
import time
from statistics import median

import allocators as alloc
import machine
import report
import stats
import workloads
from allocators import BenchError
from harness import Progress, main
from summary import LIMIT

SCENARIO_RUNS = 50
FULL_ROUNDS, QUICK_ROUNDS = 10, 6
QUICK_SECONDS = 170


class Session:
    """The runs made so far: data[test][allocator] is a list of results, None for a failed run."""

    def __init__(self, options, tests, allocators):
        self.options = options
        self.tests = tests
        self.allocators = allocators
        self.data = {test.name: {name: [] for name in self.names_of(test)} for test in tests}
        self.failed_runs = {}
        self.idle = {}
        self.burst = {}
        self.startup = {}
        self.progress = Progress()
        self.rounds = 0
        self.identities = {allocator.name: allocator.identity() for allocator in allocators}

    def check_identities(self):
        """Half of the runs of one build and half of another mean nothing."""
        for allocator in self.allocators:
            if allocator.identity() != self.identities[allocator.name]:
                raise BenchError(f"{allocator.path} changed while it was measured: start again")

    def names_of(self, test):
        names = [allocator.name for allocator in self.allocators]
        return names + [LIMIT] if test.group == "scenarios" else names

    def fail(self, what, error):
        """Counts it; the first failure of each kind is shown at once."""
        if what not in self.failed_runs:
            self.progress.show(f"FAILED {error}\n", force=True)
        first, count = self.failed_runs.get(what, (error, 0))
        self.failed_runs[what] = (first, count + 1)

    def failures(self):
        return [f"{what}, runs: {count}: {error}" for what, (error, count) in self.failed_runs.items()]

    def run_one(self, test, name, turn):
        limit = name == LIMIT
        wanted = alloc.GLIBC if limit else name
        allocator = next(a for a in self.allocators if a.name == wanted)
        command = test.command(self.options.programs, 1 + turn, self.options.quick, limit)
        try:
            result = alloc.run(allocator, command)
            if result["peak_kib"] < test.floor_kib:
                raise BenchError(f"{name}: {test.name}: {result['peak_kib']} KiB at its peak: no work done")
        except BenchError as error:
            self.fail(f"{name}, {test.name}", error)
            result = None
        self.data[test.name][name].append(result)

    def run_test(self, test):
        """One run under each allocator, begun by another one each time."""
        self.check_identities()
        names = self.names_of(test)
        turn = len(self.data[test.name][names[0]])
        at = turn % len(names)
        for name in names[at:] + names[:at]:
            self.run_one(test, name, turn)

    def times_per_round(self, test, rounds):
        if test.group != "scenarios":
            return 1
        return 3 if self.options.quick else -(-SCENARIO_RUNS // rounds)

    def run_rounds(self, rounds, seconds):
        for number in range(rounds):
            if number >= stats.FEWEST and self.progress.elapsed() * (number + 1) / number > seconds:
                self.progress.show(f"stopping after {number} rounds to stay within {seconds} s", force=True)
                break
            for position, test in enumerate(self.tests):
                share = (number + position / len(self.tests)) / rounds
                self.progress.show(f"{share:4.0%} round {number + 1} of {rounds}: {test.name}")
                for _ in range(self.times_per_round(test, rounds)):
                    self.run_test(test)
            self.rounds = number + 1
        self.complete_scenarios()

    def complete_scenarios(self):
        """A full run that had to stop early still owes the scenarios their number of runs."""
        for test in self.tests:
            while (
                test.group == "scenarios"
                and not self.options.quick
                and not self.options.rounds
                and len(self.data[test.name][LIMIT]) < SCENARIO_RUNS
            ):
                self.run_test(test)

    def run_idle(self):
        """The first run is glibc's threads without malloc, the base of all others."""
        threads = workloads.QUICK_IDLE_THREADS if self.options.quick else workloads.IDLE_THREADS
        program = f"{self.options.programs}/bench_idle"
        for blocks in (0, *workloads.IDLE_BLOCKS):
            for allocator in self.allocators if blocks else self.allocators[:1]:
                self.progress.show(f"idle threads, {blocks} blocks each: {allocator.name}")
                try:
                    result = alloc.run(allocator, [program, f"ops={threads}", f"blocks={blocks}"])
                    self.idle.setdefault(blocks, {})[allocator.name] = result
                except BenchError as error:
                    self.fail(f"{allocator.name}, idle", error)

    def run_startup(self):
        self.progress.show("start-up of /bin/true")
        runs = workloads.QUICK_STARTUP_RUNS if self.options.quick else workloads.STARTUP_RUNS
        try:
            times = alloc.startup_times(f"{self.options.programs}/bench_startup", runs, self.allocators)
            for allocator in self.allocators:
                kib = [alloc.startup_kib(allocator) for _ in range(workloads.STARTUP_RSS_RUNS)]
                least, middle = times[allocator.name]
                self.startup[allocator.name] = {"min_ns": least, "median_ns": middle, "peak_kib": median(kib)}
        except BenchError as error:
            self.fail("startup", error)

    def run_burst(self):
        """All allocators at the same time: only memory is compared, not speed."""
        for threads in workloads.BURST_THREADS:
            self.progress.show(f"burst and idle, {threads} threads, 10 s", force=True)
            command = [f"{self.options.programs}/bench_burst", f"threads={threads}"]
            running = [(a, alloc.start(a, command)) for a in self.allocators]
            for allocator, process in running:
                try:
                    result = alloc.finish(allocator, process, 120)
                    self.burst.setdefault(threads, {})[allocator.name] = result
                except BenchError as error:
                    self.fail(f"{allocator.name}, burst", error)


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter runs, fewer rounds, no burst")
    parser.add_argument("--hakmem", default="", help="the library (default build/libhakmem.so if it exists)")
    parser.add_argument("--programs", default="build/bench/gcc", help="directory of the benchmark programs")
    parser.add_argument("--out", default="build/bench", help="directory of the results")
    parser.add_argument("--rounds", type=int, default=0, help="default: 10, quick 6")
    parser.add_argument("--tests", default="", help="only these, as patterns: 'larson*,pair*,startup,idle,burst'")
    parser.add_argument("--allocators", default="", help="only these, by name, beside glibc")
    return parser.parse_args()


def check_preloads(session):
    """Every allocator runs once, unmeasured, before hours can be lost on a wrong path."""
    command = [f"{session.options.programs}/bench_pair", "ops=1000"]
    if not os.path.isfile(command[0]):
        raise BenchError(f"no file {command[0]}: run make bench-programs")
    for allocator in session.allocators:
        alloc.run(allocator, command)


def run_all(options):
    patterns = [word for word in options.tests.split(",") if word]
    wanted = [word for word in options.allocators.split(",") if word]

    def chosen(name):
        return not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)

    tests = [test for test in workloads.TESTS if chosen(test.name)]
    startup = chosen("startup")
    idle = chosen("idle")
    burst = chosen("burst") and not options.quick
    if not (tests or startup or idle or burst):
        raise BenchError(f"--tests: nothing matches {options.tests}")
    session = Session(options, tests, alloc.find(options.hakmem, wanted))
    facts = machine.describe(session.allocators)
    for key, value in facts.items():
        print(f"{key + ':':24}{value}")
    if float(machine.load()) > (os.cpu_count() or 1) / 2:
        print("the machine is busy: expect wide intervals and many ties")
    check_preloads(session)
    print(f"{len(tests)} tests, {len(session.allocators)} allocators, each checked to be the one that malloc is bound to")
    if startup:
        session.run_startup()
    if idle:
        session.run_idle()
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else FULL_ROUNDS)
    seconds = QUICK_SECONDS if options.quick and not options.rounds else float("inf")
    session.run_rounds(rounds, seconds)
    if burst:
        session.run_burst()
    session.check_identities()
    session.progress.end()
    facts["load after"] = machine.load()
    return session, facts


def run(options):
    session, facts = run_all(options)
    return report.write(session, facts)


if __name__ == "__main__":
    sys.exit(main(run, read_options()))
