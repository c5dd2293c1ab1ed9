#!/usr/bin/env -S python3 -B
"""The named scenarios in steady state, against the same loop without an
allocator: time over that limit, page faults and system calls per operation.

Results are in build/bench: scenarios.md, scenarios.json, scenarios.png.
"""

import fnmatch
import os
import sys
from dataclasses import dataclass, field

import allocators as alloc
import harness
import stats
import syscalls
from allocators import GLIBC, BenchError
from summary import LIMIT
from tables import interval, number, plot

ROUNDS = 50
SECONDS = 330


@dataclass(frozen=True)
class Scenario:
    name: str
    steady: int  # operations that are measured
    cold: int  # operations of the first pass
    counted: int  # operations whose system calls are counted
    args: dict = field(default_factory=dict)
    every: int = 1  # takes part in one round of so many

    def command(self, programs, seed, limit, steady=0):
        args = {**self.args, "limit": int(limit), "pass": self.cold, "ops": self.cold + (steady or self.steady)}
        return [f"{programs}/bench_scenario", f"seed={seed}", *(f"{key}={value}" for key, value in args.items())]


# Operations of a run, touching and filling: some milliseconds each, so that 50 rounds fit in.
STEADY = {"json": (20000, 2000), "mir": (8000, 400), "vm": (800, 50), "mixed": (1000, 250)}
COLD = {"json": 100, "mir": 100, "vm": 50, "mixed": 500}
COUNTED = (1000, 250)
VARIANTS = (("", {}), ("-16", {"live": 16}), ("-2t", {"threads": 2}))


def _scenarios():
    """Sizes are drawn in the same order twice in the first pass and again afterwards."""
    for suffix, variant in VARIANTS:
        for which, kind in enumerate(STEADY):
            for fill, use in ((0, "touch"), (1, "fill")):
                args = {"which": which, "fill": fill, "period": COLD[kind] // 2, **variant}
                yield Scenario(f"{kind}{suffix}-{use}", STEADY[kind][fill], COLD[kind], COUNTED[fill], args)
    for fill, use in ((0, "touch"), (1, "fill")):
        yield Scenario(f"random-{use}", 40, 80, 40, {"which": 4, "fill": fill, "period": 40}, every=7)


def run_one(options, scenario, allocator, limit, seed):
    result = alloc.run(allocator, scenario.command(options.programs, seed, limit))
    return {
        "ns": result["steady_wall_ns"] / result["steady_ops"],
        "faults": result["steady_minflt"] / result["steady_ops"],
        "cold_ns": result["cold_wall_ns"] / result["cold_ops"],
        "cold_faults": result["cold_minflt"] / result["cold_ops"],
        "peak_kib": result["peak_kib"],
    }


def participants(allocators):
    """(name, allocator, whether it is the limit); the loop of the limit runs under plain glibc."""
    glibc = next(a for a in allocators if a.name == GLIBC)
    return [*((a.name, a, False) for a in allocators), (LIMIT, glibc, True)]


def run_rounds(report, runs, options, scenarios, allocators):
    everyone = participants(allocators)
    begun = report.progress.elapsed()
    for turn in range(options.rounds):
        spent = report.progress.elapsed() - begun
        if turn >= stats.FEW and (spent / turn) * (turn + 1) + begun > options.seconds:
            report.progress.show(f"stopping after {turn} rounds to stay within {options.seconds} s", force=True)
            return turn
        report.check_identities()
        for scenario in scenarios:
            if turn % scenario.every:
                continue
            report.progress.show(f"round {turn + 1} of {options.rounds}: {scenario.name}")
            at = turn % len(everyone)
            for name, allocator, limit in everyone[at:] + everyone[:at]:
                runs.add(
                    scenario.name,
                    name,
                    lambda s=scenario, a=allocator, li=limit: run_one(options, s, a, li, 1 + turn),
                )
    return options.rounds


def count_calls(report, runs, options, scenarios, allocators):
    """Two counted runs, the second with twice the steady operations: the difference is theirs."""
    calls = {}
    for scenario in scenarios:
        report.progress.show(f"system calls: {scenario.name}")
        for name, allocator, limit in participants(allocators):
            try:
                tables = [
                    syscalls.counts(allocator, scenario.command(options.programs, 1, limit, steady))
                    for steady in (scenario.counted, 2 * scenario.counted)
                ]
            except BenchError as error:
                runs.failures.append(str(error))
                continue
            by_name = syscalls.difference(tables[1], tables[0])
            per_op = max(0, sum(by_name.values())) / scenario.counted
            calls.setdefault(scenario.name, {})[name] = {"per_op": per_op, "calls": by_name}
    return calls


def calls_per_op(calls, scenario, name):
    found = calls.get(scenario.name, {}).get(name)
    return found["per_op"] if found else None


def over_limit(runs, scenario, name):
    """(ratio, low, high) of the median time to the limit's, or None where a run failed."""
    first, second = (runs.column(scenario.name, who, "ns") for who in (name, LIMIT))
    return None if None in first or None in second else stats.ratio(first, second)


def rate(value):
    """A number per operation: nothing, or enough digits to see that it is something."""
    if value is None:
        return "-"
    return "0" if value == 0 else f"{value:.4f}" if value < 1 else f"{value:.1f}"


def add_overviews(report, runs, scenarios, allocators, calls):
    names = [allocator.name for allocator in allocators]
    for heading, text, cell in (
        (
            "Steady time over the limit",
            "Median ratio and its 95% interval; the limit is the same loop over resident blocks.",
            lambda scenario, name: interval(over_limit(runs, scenario, name)),
        ),
        (
            "Page faults per steady operation",
            "Medians.",
            lambda scenario, name: rate(runs.median(scenario.name, name, "faults")),
        ),
        (
            "System calls per steady operation",
            "Exact counts, threads that give way to each other left out.",
            lambda scenario, name: rate(calls_per_op(calls, scenario, name)),
        ),
    ):
        rows = [[s.name, *(cell(s, name) for name in names)] for s in scenarios]
        report.add(heading, text, ["", *names], rows)


def add_details(report, runs, scenario, allocators, calls):
    header = ["", "ns/op", "P95", "P99", "/ limit", "faults/op", "calls/op", "cold ns/op", "cold faults/op", "peak MiB"]
    rows = []
    for name in [*(allocator.name for allocator in allocators), LIMIT]:
        column = runs.column(scenario.name, name, "ns")
        if None in column:
            rows.append([name, "failed", *["-"] * (len(header) - 2)])
            continue
        rows.append(
            [
                name,
                *(number(stats.quantile(column, share)) for share in (0.5, 0.95, 0.99)),
                interval(over_limit(runs, scenario, name)) if name != LIMIT else "1",
                rate(runs.median(scenario.name, name, "faults")),
                rate(calls_per_op(calls, scenario, name)),
                number(runs.median(scenario.name, name, "cold_ns")),
                rate(runs.median(scenario.name, name, "cold_faults")),
                number(runs.median(scenario.name, name, "peak_kib") / 1024),
            ]
        )
    count = len(runs.column(scenario.name, LIMIT, "ns"))
    text = f"{count} process runs; {scenario.steady} operations after a first pass of {scenario.cold}"
    report.add(scenario.name, text, header, rows, terminal=False)


def draw(runs, scenarios, allocators, out):
    lines = [" ".join(["scenario", *(allocator.name for allocator in allocators)])]
    for scenario in scenarios:
        ratios = [over_limit(runs, scenario, allocator.name) for allocator in allocators]
        lines.append(" ".join([scenario.name, *("NaN" if r is None else f"{r[0]:.4f}" for r in ratios)]))
    data = f"{out}/scenarios.dat"
    with open(data, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    plot("bars.gp", data, f"{out}/scenarios.png", len(allocators), "steady time / the limit's (less is better)")


def run(options):
    patterns = [word for word in options.tests.split(",") if word]
    scenarios = [
        s for s in _scenarios() if not patterns or any(fnmatch.fnmatch(s.name, p) for p in patterns)
    ]
    if not scenarios:
        raise BenchError(f"--tests: nothing matches {options.tests}")
    allocators = harness.find_allocators(options)
    report = harness.Report("scenarios", "Scenarios in steady state", allocators)
    runs = harness.Runs()
    calls = count_calls(report, runs, options, scenarios, allocators)
    rounds = run_rounds(report, runs, options, scenarios, allocators)
    report.facts["rounds"] = str(rounds)
    report.values["syscalls"] = calls
    add_overviews(report, runs, scenarios, allocators, calls)
    for scenario in scenarios:
        add_details(report, runs, scenario, allocators, calls)
    os.makedirs(options.out, exist_ok=True)
    draw(runs, scenarios, allocators, options.out)
    return report.write(options.out, runs, "scenarios.png")


def main():
    parser = harness.parser(__doc__, ROUNDS)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="fewer rounds rather than more time")
    return harness.main(run, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
