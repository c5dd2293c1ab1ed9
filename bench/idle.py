#!/usr/bin/env -S python3 -B
"""Burst and idle: what programs that have freed most of their memory and went
to sleep still hold, 0 to 5 seconds after the last free.

Results are in build/bench: idle.md, idle.json, idle.png.
"""

import fnmatch
import os
import sys
from dataclasses import dataclass

import allocators as alloc
import harness
from allocators import BenchError
from tables import number, plot

SECONDS = (0, 1, 2, 5)
# Four threads of 1 GiB each grow in about a second; nothing here may take longer than this.
GROW_TIMEOUT_S = 60


@dataclass(frozen=True)
class Family:
    name: str
    title: str
    program: str
    args: dict
    distance: bool = False  # show the distance from live memory, not the ratio


FAMILIES = (
    Family(
        "mixed",
        "4 threads, 1 GiB of 16 B to 512 KiB, 95% freed by their owners in random order",
        "bench_burst",
        {"threads": 4, "mib": 1024, "low": 16, "high": 524288, "keep": 5},
    ),
    Family(
        "single",
        "the same with one thread",
        "bench_burst",
        {"threads": 1, "mib": 1024, "low": 16, "high": 524288, "keep": 5},
    ),
    Family(
        "small",
        "4 threads, 1 GiB of 16 B to 2 KiB, 95% freed by their owners in random order",
        "bench_burst",
        {"threads": 4, "mib": 1024, "low": 16, "high": 2048, "keep": 5},
    ),
    Family(
        "orphan",
        "one thread allocates 1 GiB of 64 B to 256 KiB, three others free 98% at random",
        "bench_burst",
        {"threads": 4, "owner": 1, "mib": 1024, "low": 64, "high": 262144, "keep": 2},
    ),
    Family(
        "freers",
        "one thread allocates 4 GiB of 16 B to 256 KiB, 31 others free 99%, all stop",
        "bench_stop",
        {"threads": 32, "mib": 4096, "low": 16, "high": 262144, "keep": 1, "queue": 64},
        distance=True,
    ),
    Family(
        "stopped",
        "a producer of 4 GiB of 16 B to 256 KiB and its consumer, which frees 99%, stop",
        "bench_stop",
        {"threads": 2, "mib": 4096, "low": 16, "high": 262144, "keep": 1, "queue": 1024},
        distance=True,
    ),
)


def begin(allocator, family, options, seed):
    """Starts a run and returns when it has gone idle, so that the next may grow meanwhile."""
    args = {**family.args, "seed": seed, "idle": SECONDS[-1]}
    command = [f"{options.programs}/{family.program}", *(f"{key}={value}" for key, value in args.items())]

    def start(notify):
        return alloc.start(allocator, [*command, f"notify={notify}"], pass_fds=(notify,))

    return harness.until_idle(start, GROW_TIMEOUT_S)


def run_round(runs, family, allocators, options, turn, progress):
    """All allocators, begun by another one each round."""
    at = turn % len(allocators)
    running = []
    for allocator in allocators[at:] + allocators[:at]:
        progress.show(f"round {turn + 1} of {options.rounds}: {family.name}, {allocator.name}")
        running.append((allocator, begin(allocator, family, options, 1 + turn)))
    for allocator, process in running:
        runs.add(family.name, allocator.name, lambda a=allocator, p=process: alloc.finish(a, p, GROW_TIMEOUT_S))


def over_live(second):
    return lambda result: result[f"resident_{second}s"] / result["live_kib"]


def above_live(second):
    return lambda result: (result[f"resident_{second}s"] - result["live_kib"]) / 1024


def add_table(report, runs, family, allocators):
    value, unit = (above_live, "MiB above live") if family.distance else (over_live, "resident / live")
    header = [unit, *(f"{second} s" for second in SECONDS)]
    header += ["pages / live", "live MiB", "2 s MiB above", "CPU ms while idle", "wake-ups"]
    rows = []
    for allocator in allocators:

        def middle(get, name=allocator.name):
            return runs.median(family.name, name, get)

        rows.append(
            [
                allocator.name,
                *(number(middle(value(second))) for second in SECONDS),
                number(middle(lambda result: result["floor_kib"] / result["live_kib"])),
                number(middle(lambda result: result["live_kib"] / 1024)),
                number(middle(above_live(2))),
                number(middle(lambda result: result["idle_cpu_us"] / 1000)),
                number(middle("idle_switches")),
            ]
        )
    report.add(f"{family.name}: {family.title}", "", header, rows)


def draw(runs, families, allocators, out):
    """One curve per allocator, one panel per family."""
    blocks = []
    for family in families:
        value = above_live if family.distance else over_live
        lines = [" ".join(["second", *(allocator.name for allocator in allocators)])]
        for second in SECONDS:
            cells = [runs.median(family.name, allocator.name, value(second)) for allocator in allocators]
            lines.append(" ".join([str(second), *("NaN" if cell is None else f"{cell:.4f}" for cell in cells)]))
        blocks.append("\n".join(lines))
    data = f"{out}/idle.dat"
    with open(data, "w", encoding="utf-8") as file:
        file.write("\n\n\n".join(blocks) + "\n")
    titles = [f"{family.name}: {'MiB above live' if family.distance else 'resident / live'}" for family in families]
    plot("idle.gp", data, f"{out}/idle.png", len(allocators), "|".join(titles))


def run(options):
    patterns = [word for word in options.tests.split(",") if word]
    families = [f for f in FAMILIES if not patterns or any(fnmatch.fnmatch(f.name, p) for p in patterns)]
    if not families:
        raise BenchError(f"--tests: nothing matches {options.tests}")
    allocators = harness.find_allocators(options)
    report = harness.Report("idle", "Burst and idle", allocators)
    runs = harness.Runs()
    for turn in range(options.rounds):
        for family in families:
            report.check_identities()
            run_round(runs, family, allocators, options, turn, report.progress)
    for family in families:
        add_table(report, runs, family, allocators)
    os.makedirs(options.out, exist_ok=True)
    draw(runs, families, allocators, options.out)
    return report.write(options.out, runs, "idle.png")


if __name__ == "__main__":
    sys.exit(harness.main(run, harness.parser(__doc__, rounds=3).parse_args()))
