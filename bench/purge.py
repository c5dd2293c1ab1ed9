#!/usr/bin/env -S python3 -B
"""What giving memory back costs: CPU time of the same churn with purging on
and off, and calls per GiB given back when neighbouring blocks are freed.

Results are in build/bench: purge.md, purge.json, purge.png.
"""

import fnmatch
import os
import sys
from dataclasses import dataclass, field

import allocators as alloc
import harness
import stats
import syscalls
from allocators import GLIBC, HAKMEM, Allocator, BenchError
from tables import number, plot

ROUNDS = 10
# Options under which hakmem never gives anything back.
OFF = {"HAKMEM_PURGE_BYTES": "1T", "HAKMEM_HELPER": "0", "HAKMEM_SITES": "0"}
ON, AGAIN, NEVER = "on", "on again", "off"
ONE_EACH = "one call per block"


@dataclass(frozen=True)
class Mix:
    name: str
    title: str
    args: dict = field(default_factory=dict)

    def command(self, programs, seed):
        words = [f"{key}={value}" for key, value in self.args.items()]
        return [f"{programs}/bench_churn", f"seed={seed}", "threads=2", *words]


# Operations for about a second each: longer than any delay after which memory is purged.
MIXES = (
    Mix("small", "16 B to 2 KiB, 20,000 live", {"ops": 32000000, "low": 16, "high": 2048, "live": 20000}),
    Mix("wide", "16 B to 32 KiB, 2,000 live", {"ops": 24000000, "live": 2000}),
    Mix("wide-50", "the same, half of it freed remotely", {"ops": 10000000, "live": 2000, "remote": 50}),
    Mix("full", "16 B to 2 MiB, 256 live", {"ops": 1500000, "high": 2 << 20, "live": 256}),
    Mix("mid", "64 KiB to 2 MiB, 64 live", {"ops": 560000, "low": 1 << 16, "high": 2 << 20, "live": 64}),
    Mix("whales", "2 to 32 MiB, 6 live", {"ops": 12000, "low": 2 << 20, "high": 32 << 20, "live": 6}),
    Mix("swing", "16 B to 32 KiB, 8,000 and 2,000 live in turn", {"ops": 16000000, "live": 8000, "swing": 400000}),
    Mix(
        "swing-mid",
        "64 KiB to 2 MiB, 128 and 32 live in turn",
        {"ops": 560000, "low": 1 << 16, "high": 2 << 20, "live": 128, "swing": 30000},
    ),
)


def settings(hakmem):
    """The same library three times: as it is, as it is once more (what the noise is), and off."""
    return [
        Allocator(ON, hakmem.path, hakmem.options),
        Allocator(AGAIN, hakmem.path, hakmem.options),
        Allocator(NEVER, hakmem.path, {**hakmem.options, **OFF}),
    ]


def run_churn(report, runs, options, mixes, hakmem):
    three = settings(hakmem)
    for turn in range(options.rounds):
        report.check_identities()
        at = turn % len(three)
        for mix in mixes:
            report.progress.show(f"round {turn + 1} of {options.rounds}: {mix.name}")
            for setting in three[at:] + three[:at]:
                command = mix.command(options.programs, 1 + turn)
                runs.add(mix.name, setting.name, lambda s=setting, c=command: alloc.run(s, c))


def cpu_us(result):
    return result["user_us"] + result["sys_us"]


def percent_more(runs, mix, first, second, value):
    """(percent, low, high) that `first` takes beyond `second`; None where a run failed."""
    one, other = runs.column(mix.name, first, value), runs.column(mix.name, second, value)
    if None in one or None in other:
        return None
    return tuple(100 * (part - 1) for part in stats.ratio(one, other))


def percent_text(found):
    if found is None:
        return "-"
    if found[2] == float("inf"):
        return f"{found[0]:+.1f}% [too few runs]"
    return f"{found[0]:+.1f}% [{found[1]:+.1f}, {found[2]:+.1f}]"


def add_churn(report, runs, mixes):
    rows = []
    for mix in mixes:
        cpu = [runs.median(mix.name, name, cpu_us) for name in (ON, NEVER)]
        rows.append(
            [
                f"{mix.name}: {mix.title}",
                *("-" if us is None else f"{us / 1000:.0f}" for us in cpu),
                percent_text(percent_more(runs, mix, ON, NEVER, cpu_us)),
                percent_text(percent_more(runs, mix, ON, AGAIN, cpu_us)),
                percent_text(percent_more(runs, mix, ON, NEVER, "wall_ns")),
                *(number(runs.median(mix.name, name, "minflt")) for name in (ON, NEVER)),
                *(number(runs.median(mix.name, name, lambda r: r["peak_kib"] / 1024)) for name in (ON, NEVER)),
            ]
        )
    header = ["", "CPU ms on", "off", "on / off", "on / on again", "wall on / off"]
    header += ["faults on", "off", "peak MiB on", "off"]
    text = "hakmem with its defaults and with purging off; on again is the same as on: the noise."
    report.add("CPU time of churn, 2 threads", text, header, rows)


GIVING_BACK = (
    ("64 KiB, in order", {"size": 65536, "scatter": 0}),
    ("64 KiB, at random", {"size": 65536, "scatter": 1}),
    ("16 KiB, in order", {"size": 16384, "scatter": 0}),
    ("256 KiB, in order", {"size": 262144, "scatter": 0}),
)


def count_giving_back(report, options, allocators):
    glibc = next(a for a in allocators if a.name == GLIBC)
    everyone = [*((a.name, a, 0) for a in allocators), (ONE_EACH, glibc, 1)]
    found = {}
    for title, args in GIVING_BACK:
        for name, allocator, per_block in everyone:
            report.progress.show(f"giving back {title}: {name}")
            words = {**args, "mib": 1024, "threads": 2, "idle": 2, "per_block": per_block}
            command = [f"{options.programs}/bench_giveback", *(f"{key}={value}" for key, value in words.items())]
            result, calls = syscalls.giving_back(allocator, command)
            given_kib = max(0, result["grown_kib"] - result["resident_2s"])
            found.setdefault(title, {})[name] = {"calls": calls, "given_kib": given_kib}
    return found


def per_gib(entry):
    """Calls per GiB given back; None where less than a hundredth of it was."""
    return entry["calls"] * (1 << 20) / entry["given_kib"] if entry["given_kib"] > 10 << 10 else None


def add_giving_back(report, found):
    header = ["1 GiB of blocks", "MiB given back", "calls", "calls per GiB", "times fewer than one per block"]
    for title, entries in found.items():
        rows = []
        for name, entry in entries.items():
            rate, base = per_gib(entry), per_gib(entries[ONE_EACH])
            rows.append(
                [
                    name,
                    f"{entry['given_kib'] / 1024:.0f}",
                    entry["calls"],
                    number(rate),
                    number(base / rate) if rate else "-",
                ]
            )
        report.add(f"Calls that give back: {title}", "Until 2 s after the last free.", header, rows)


def draw(runs, mixes, out):
    lines = ["mix on off"]
    for mix in mixes:
        cpu = [runs.median(mix.name, name, cpu_us) for name in (ON, NEVER)]
        if None not in cpu:
            lines.append(f"{mix.name} {cpu[0] / cpu[1]:.4f} 1")
    data = f"{out}/purge.dat"
    with open(data, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    plot("bars.gp", data, f"{out}/purge.png", 2, "CPU time / that with purging off")


def run(options):
    patterns = [word for word in options.tests.split(",") if word]

    def chosen(name):
        return not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)

    mixes = [mix for mix in MIXES if chosen(mix.name)]
    if not (mixes or chosen("giveback")):
        raise BenchError(f"--tests: nothing matches {options.tests}")
    allocators = harness.find_allocators(options)
    hakmem = next((a for a in allocators if a.name == HAKMEM), None)
    if mixes and not hakmem:
        raise BenchError("no hakmem: run make first")
    report = harness.Report("purge", "What giving memory back costs", allocators)
    report.facts["off"] = " ".join(f"{key}={value}" for key, value in OFF.items())
    runs = harness.Runs()
    if chosen("giveback"):
        report.values["giving_back"] = count_giving_back(report, options, allocators)
    if mixes:
        run_churn(report, runs, options, mixes, hakmem)
        add_churn(report, runs, mixes)
    if chosen("giveback"):
        add_giving_back(report, report.values["giving_back"])
    os.makedirs(options.out, exist_ok=True)
    if mixes:
        draw(runs, mixes, options.out)
    return report.write(options.out, runs, "purge.png" if mixes else "")


if __name__ == "__main__":
    sys.exit(harness.main(run, harness.parser(__doc__, ROUNDS).parse_args()))
