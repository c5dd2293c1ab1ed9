#!/usr/bin/env -S python3 -B
"""What checks and hardening cost: hakmem without checks, with those that are always on, and
the secure library, with parts of it off; beside glibc and mimalloc. The tests are those of
the quick benchmark, in one interleaved run.

Results are in build/bench: harden.md, harden.json.
"""

import fnmatch
import sys
from types import SimpleNamespace

import allocators as alloc
import harness
import stats
import workloads
from allocators import GLIBC, HAKMEM, MIMALLOC, Allocator, BenchError
from runner import QUICK_ROUNDS, Session, check_preloads
from summary import Summary
from tables import interval, number

UNCHECKED, SECURE = "unchecked", "secure"
# The secure library with more and more of it off.
OFF = {"HAKMEM_GUARD_SAMPLE": "0"}, {"HAKMEM_QUARANTINE": "0"}, {"HAKMEM_WIPE_BYTES": "0"}
PARTS = {
    "no sampling": OFF[0],
    "nor quarantine": OFF[0] | OFF[1],
    "nor wipe": OFF[0] | OFF[1] | OFF[2],
}
# Each of the first over the second.
RATIOS = [(HAKMEM, UNCHECKED), (SECURE, HAKMEM), *((part, HAKMEM) for part in PARTS), (SECURE, GLIBC), (SECURE, MIMALLOC)]
TIME, CPU, RSS = "ns", "cpu_us", "peak_kib"


def participants(options):
    found = [a for a in harness.find_allocators(options) if a.name in (GLIBC, HAKMEM, MIMALLOC)]
    hakmem = next((a for a in found if a.name == HAKMEM), None)
    if not hakmem:
        raise BenchError("no hakmem: run make first")
    for name, path in ((UNCHECKED, options.unchecked), (SECURE, options.secure)):
        found += alloc.added(f"{name}={path}")
    secure = found[-1]
    return found + [Allocator(name, secure.path, part) for name, part in PARTS.items()]


def add_means(report, summary):
    """Geometric means over the tests of each group and over all, by CPU time."""
    groups = [*summary.groups(), "all"]
    rows = []
    for first, second in RATIOS:
        cells = []
        for group in groups:
            tests = [t for t in summary.tests if group in (t.group, "all")]
            pairs = [(summary.samples(t, first, CPU), summary.samples(t, second, CPU)) for t in tests]
            cells.append(interval(stats.geometric_ratio(pairs)) if group == "all" else number(mean(pairs)))
        rss = [(summary.samples(t, first, RSS), summary.samples(t, second, RSS)) for t in summary.tests]
        rows.append([f"{first} / {second}", *cells, number(mean(rss))])
    report.add("CPU time, geometric means", "", ["", *groups, "peak RSS"], rows)


def mean(pairs):
    found = stats.geometric_ratio(pairs)
    return found[0] if found else None


def add_tests(report, summary):
    names = summary.names
    times = [[t.name, *(number(summary.median(t, name, TIME)) for name in names)] for t in summary.tests]
    report.add("Medians, ns per operation", "", ["", *names], times)
    cpu = [
        [t.name, *(interval(summary.ratio(t, first, second, CPU)) for first, second in RATIOS[: 2 + len(PARTS)])]
        for t in summary.tests
    ]
    header = ["", *(f"{first} / {second}" for first, second in RATIOS[: 2 + len(PARTS)])]
    report.add("CPU time by test", "Ratio of medians with its 95% interval.", header, cpu)


def run(options):
    patterns = [word for word in options.tests.split(",") if word] or ["*"]
    tests = [t for t in workloads.TESTS if any(fnmatch.fnmatch(t.name, pattern) for pattern in patterns)]
    if not tests:
        raise BenchError(f"--tests: nothing matches {options.tests}")
    allocators = participants(options)
    session = Session(SimpleNamespace(programs=options.programs, quick=True, rounds=options.rounds), tests, allocators)
    check_preloads(session)
    report = harness.Report("harden", "What checks and hardening cost", allocators)
    session.run_rounds(options.rounds, float("inf"))
    session.progress.end()
    summary = Summary(session)
    add_tests(report, summary)
    add_means(report, summary)
    runs = harness.Runs()
    runs.data, runs.failures = session.data, session.failures()
    over = {}
    for first, second in RATIOS:
        pairs = [(summary.samples(t, first, CPU), summary.samples(t, second, CPU)) for t in tests]
        over[f"{first} / {second}"] = mean(pairs)
    report.values["cpu"] = over
    status = report.write(options.out, runs)
    checks, hardening = (over[f"{first} / {second}"] for first, second in RATIOS[:2])
    if None in (checks, hardening):
        raise BenchError("not every participant has run")
    print(f"harden: default {checks:.2f} of unchecked, secure {hardening:.2f} of default")
    return status


def read_options():
    parser = harness.parser(__doc__, QUICK_ROUNDS)
    parser.add_argument("--unchecked", default="build/gcc-unchecked/libhakmem.so", help="hakmem without checks")
    parser.add_argument("--secure", default="build/libhakmem-secure.so", help="the secure library")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(harness.main(run, read_options()))
