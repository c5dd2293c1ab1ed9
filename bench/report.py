"""Writes results.json, report.md and report.png, and prints the summary."""

import json
import math
import os

import workloads
from allocators import GLIBC, HAKMEM, MIMALLOC
from summary import LIMIT, Summary, idle_kib_per_thread
from tables import interval, number, plot, ratio_of, table, text_table


def _overview_rows(summary):
    for test in summary.tests:
        best = summary.best_peer(test)
        row = [test.name, *(number(summary.median(test, name, "ns")) for name in summary.names)]
        if HAKMEM in summary.names:
            found = summary.ratio(test, HAKMEM, best)
            rss = summary.median(test, HAKMEM, "peak_kib")
            row += [interval(found), best, summary.verdict(test)]
            row += [ratio_of(rss, summary.median(test, GLIBC, "peak_kib"))]
            row += [ratio_of(rss, summary.median(test, MIMALLOC, "peak_kib"))] if summary.has_mimalloc() else []
        else:
            row.append(best)
        yield row


def _overview_header(summary):
    if HAKMEM not in summary.names:
        return ["ns/op", *summary.names, "best"]
    header = ["ns/op", *summary.names, "hakmem/best peer", "which", "verdict", "rss/glibc"]
    return header + (["rss/mimalloc"] if summary.has_mimalloc() else [])


def _mean_rows(summary):
    for name in summary.names:
        cells = [summary.geometric_mean(name, GLIBC, "ns", group) for group in summary.groups()]
        cells.append(summary.geometric_mean(name, GLIBC))
        cells.append(summary.geometric_mean(name, GLIBC, "cpu_us"))
        cells.append(summary.geometric_mean(name, GLIBC, "peak_kib"))
        failed = summary.failed_tests(name)
        yield [name, *("-" if c is None else f"{c:.3f}" for c in cells), len(failed) or "none"]


def _mean_header(summary):
    return ["over glibc", *summary.groups(), "time", "CPU", "peak RSS", "failed tests"]


def _test_section(summary, test):
    best = summary.best_peer(test)
    rows = []
    for name in summary.names:
        if not summary.good(test, name):
            rows.append([name, "failed", *["-"] * 9])
            continue
        rss = summary.median(test, name, "peak_kib")
        rows.append(
            [
                name + (" (best peer)" if name == best else ""),
                number(summary.median(test, name, "ns")),
                number(summary.spread(test, name, "ns")),
                interval(summary.ratio(test, name, best)),
                interval(summary.ratio(test, name, MIMALLOC)) if summary.has_mimalloc() else "-",
                f"{rss:.0f}",
                ratio_of(rss, summary.median(test, GLIBC, "peak_kib")),
                ratio_of(rss, summary.median(test, MIMALLOC, "peak_kib")) if summary.has_mimalloc() else "-",
                f"{summary.median(test, name, 'minflt'):.0f}",
                f"{summary.median(test, name, 'user_us') / 1000:.1f}",
                f"{summary.median(test, name, 'sys_us') / 1000:.1f}",
            ]
        )
    runs = len(summary.data[test.name][GLIBC])
    arguments = " ".join(f"{key}={value}" for key, value in test.args.items())
    header = ["", "ns/op", "IQR", "/ best peer", "/ mimalloc", "peak KiB", "/ glibc", "/ mimalloc"]
    header += ["minor faults", "user ms", "sys ms"]
    return [f"### {test.name}", "", f"`{test.program} {arguments}`, {runs} runs", "", *table(header, rows)]


def _scenario_section(summary):
    tests = [test for test in summary.tests if test.group == "scenarios"]
    if not tests:
        return []
    lines = ["## Scenarios", ""]
    lines += [
        "ns per operation including the use of the block, over process runs; *limit* is the same",
        "loop over resident blocks without an allocator, *above* what an allocator takes beyond it",
        "(median and 95% interval); *steady* leaves the first pass out.",
        "",
    ]
    header = ["", "median", "P95", "P99", "above", "low", "high", "steady", "faults", "faults/op", "peak KiB"]
    for test in tests:
        rows = []
        for name in [*summary.names, LIMIT]:
            if not summary.good(test, name):
                rows.append([name, "failed", *["-"] * 9])
                continue
            above = summary.above_limit(test, name) if name != LIMIT else None
            faults = summary.median(test, name, "minflt")
            ops = summary.median(test, name, "ops")
            rows.append(
                [
                    name,
                    number(summary.median(test, name, "ns")),
                    number(summary.quantile(test, name, "ns", 0.95)),
                    number(summary.quantile(test, name, "ns", 0.99)),
                    *(number(part) for part in (above or (None, None, None))),
                    number(summary.median(test, name, "steady_ns")),
                    f"{faults:.0f}",
                    f"{faults / ops:.3f}",
                    f"{summary.median(test, name, 'peak_kib'):.0f}",
                ]
            )
        runs = len(summary.data[test.name][GLIBC])
        lines += [f"### {test.name}, {runs} process runs", "", *table(header, rows)]
    return lines


def _idle_rows(session):
    for allocator in session.allocators:
        row = [allocator.name]
        for blocks in workloads.IDLE_BLOCKS:
            beyond = idle_kib_per_thread(session.idle, blocks, allocator.name)
            result = session.idle.get(blocks, {}).get(allocator.name)
            row += [number(beyond), number(result["after_kib"] / 1024) if result else "-"]
        yield row


def _idle_header():
    header = ["KiB per thread"]
    for blocks in workloads.IDLE_BLOCKS:
        header += ["one 64 B block" if blocks == 1 else f"{blocks} blocks", "MiB after exit"]
    return header


def _burst_rows(session):
    for threads, results in session.burst.items():
        for name, result in results.items():
            live = result["live_kib"]
            ratios = [f"{result[f'resident_{second}s'] / live:.2f}" for second in workloads.BURST_SECONDS]
            yield [f"{name}, {threads} thr.", f"{live / 1024:.1f}", f"{result['grown_kib'] / 1024:.0f}", *ratios]


def _burst_header():
    return ["resident / live", "live MiB", "grown MiB", *(f"{second} s" for second in workloads.BURST_SECONDS)]


def _startup_rows(session):
    base = session.startup[GLIBC]
    for name, result in session.startup.items():
        times = [result[key] - base[key] for key in ("min_ns", "median_ns")]
        yield [name, *(f"{time / 1000:.0f}" for time in times), f"{result['peak_kib'] - base['peak_kib']:.0f}"]


STARTUP_HEADER = ["added to glibc's", "minimum us", "median us", "peak KiB"]


def _facts_section(facts, session):
    lines = ["# Allocators side by side", ""]
    lines += [f"- {key}: {value}" for key, value in facts.items()]
    kind = "quick" if session.options.quick else "full"
    lines += [
        f"- {kind} run, {session.rounds} interleaved rounds, {session.progress.elapsed():.0f} s",
        "",
        "Less is better everywhere. Ratios are of medians, with the 95% interval from resampling",
        "pairs of neighbouring runs (the whole range where there are fewer than ten, no verdict",
        "where there are fewer than six): an interval that holds 1 is a tie. Every test listed counts",
        "in the geometric means.",
        "",
    ]
    return lines


def _markdown(session, summary, facts):
    lines = _facts_section(facts, session)
    if summary.failures:
        lines += ["## Failures", "", *(f"- {failure}" for failure in summary.failures), ""]
    if summary.tests:
        lines += ["## Geometric means", "", *table(_mean_header(summary), _mean_rows(summary))]
        lines += ["## All tests", "", *table(_overview_header(summary), _overview_rows(summary))]
        lines += ["![time and memory](report.png)", ""]
    if session.startup:
        lines += ["## Start-up", "", "`/bin/true` from spawn to exit, and the peak of `cat`.", ""]
        lines += table(STARTUP_HEADER, _startup_rows(session))
    if session.idle:
        lines += ["## Idle threads", ""]
        lines += ["Resident memory and page tables per thread, beyond glibc's threads without malloc.", ""]
        lines += table(_idle_header(), _idle_rows(session))
    if session.burst:
        lines += ["## Burst and idle", ""]
        lines += ["Resident memory over live bytes after 95% were freed, the process asleep.", ""]
        lines += table(_burst_header(), _burst_rows(session))
    lines += _scenario_section(summary)
    if summary.tests:
        lines += ["## Each test", ""]
    for test in summary.tests:
        lines += _test_section(summary, test)
    return "\n".join([*lines, f"    {summary.last_line()}", ""])


def _bounded(found):
    """JSON has no infinity: an interval without bounds is null."""
    return found and [found[0], *(None if math.isinf(bound) else bound for bound in found[1:])]


def _json(session, summary, facts):
    return {
        "machine": facts,
        "quick": session.options.quick,
        "rounds": session.rounds,
        "seconds": round(session.progress.elapsed(), 1),
        "allocators": {a.name: {"path": a.path, "options": a.options} for a in session.allocators},
        "tests": {
            test.name: {
                "group": test.group,
                "best_peer": summary.best_peer(test),
                "verdict": summary.verdict(test),
                "ratio_to_best_peer": _bounded(summary.ratio(test, HAKMEM, summary.best_peer(test))),
                "ratio_to_mimalloc": _bounded(summary.ratio(test, HAKMEM, MIMALLOC)),
                "runs": session.data[test.name],
            }
            for test in summary.tests
        },
        "geometric_means_over_glibc": {
            name: {key: summary.geometric_mean(name, GLIBC, key) for key in ("ns", "cpu_us", "peak_kib")}
            for name in summary.names
        },
        "startup": session.startup,
        "idle": session.idle,
        "burst": session.burst,
        "failures": summary.failures,
        "last_line": summary.last_line(),
    }


def _plot(summary, out):
    """Two blocks of ratios to glibc: time, then peak memory."""
    blocks = []
    for key in ("ns", "peak_kib"):
        lines = [" ".join(["test", *summary.names])]
        for test in summary.tests:
            base = summary.median(test, GLIBC, key)
            values = [summary.median(test, name, key) for name in summary.names]
            if base:
                lines.append(" ".join([test.name, *("NaN" if v is None else f"{v / base:.4f}" for v in values)]))
        blocks.append("\n".join(lines))
    data = f"{out}/plot.dat"
    with open(data, "w", encoding="utf-8") as file:
        file.write("\n\n\n".join(blocks) + "\n")
    plot("plot.gp", data, f"{out}/report.png", len(summary.names))


def _print_summary(session, summary):
    if summary.tests:
        print("\n".join(text_table(_overview_header(summary), _overview_rows(summary))), end="\n\n")
        print("\n".join(text_table(_mean_header(summary), _mean_rows(summary))), end="\n\n")
    if session.startup:
        print("Start-up of /bin/true")
        print("\n".join(text_table(STARTUP_HEADER, _startup_rows(session))), end="\n\n")
    if session.idle:
        print("Idle threads: KiB per thread beyond glibc's threads without malloc")
        print("\n".join(text_table(_idle_header(), _idle_rows(session))), end="\n\n")
    if session.burst:
        print("Burst and idle: resident memory over live memory")
        print("\n".join(text_table(_burst_header(), _burst_rows(session))), end="\n\n")
    for failure in summary.failures:
        print(f"FAILED {failure}")
    if HAKMEM in summary.names and summary.tests:
        best = summary.best_peer_overall()
        counts = ", ".join(f"{count} {word}" for word, count in summary.verdict_counts().items() if count)
        print(f"hakmem against the best peer of each test: {counts}")
        print(f"hakmem over {best}, all tests: {interval(summary.geometric_ratio(HAKMEM, best))}")


def write(session, facts):
    """Returns the exit status: 1 when any run failed."""
    out = session.options.out
    os.makedirs(out, exist_ok=True)
    summary = Summary(session)
    with open(f"{out}/results.json", "w", encoding="utf-8") as file:
        json.dump(_json(session, summary, facts), file, indent=1)
    with open(f"{out}/report.md", "w", encoding="utf-8") as file:
        file.write(_markdown(session, summary, facts))
    if summary.tests:
        _plot(summary, out)
    _print_summary(session, summary)
    print(f"in {out}: report.md, report.png, results.json ({session.progress.elapsed():.0f} s)")
    print(summary.last_line())
    return 1 if summary.failures else 0
