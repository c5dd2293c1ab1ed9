"""Tables and pictures of what bench/policy.py has measured."""

from dataclasses import dataclass
from statistics import median

import policy_cost
from allocators import BenchError
from summary import LIMIT
from tables import number, plot

LEARNED = ("learned", "learned, loaded")
OFF = "off"
PARTS = ("measured", "whole")
# What is kept with the runs and is none whose cost counts.
APART = ("before", "ratings")


@dataclass(frozen=True)
class Base:
    """The denominators of one workload: the same for everyone."""

    cpu: dict
    traffic: dict
    seconds: dict  # of the plan: who is late takes longer
    peak_live: float


def _runs(runs, workload, name):
    return [result for result in runs.data[workload].get(name, []) if result]


def _spent(result):
    """{part: (CPU ns, faults, resident byte seconds, seconds)}"""
    whole, warm = result["series"][-1], result["warm"]
    warm_s, whole_s = result["seconds"]
    rest = [w - b for w, b in zip(whole, warm)]
    return {"whole": (*whole, whole_s), "measured": (*rest, whole_s - warm_s)}


def _base(runs, workload):
    limits = _runs(runs, workload, LIMIT)
    if not limits:
        raise BenchError(f"{workload}: no run of the limit succeeded")
    everyone = [r for name in runs.data[workload] if name not in APART for r in _runs(runs, workload, name)]
    warm_s, whole_s = (median(r["seconds"][i] for r in everyone) for i in (0, 1))
    warm, measured = (median(r["traffic"][i] for r in everyone) for i in (0, 1))
    return Base(
        {part: median(_spent(r)[part][0] for r in limits) for part in PARTS},
        {"whole": warm + measured, "measured": measured},
        {"whole": whole_s, "measured": whole_s - warm_s},
        median(r["peak_live"] for r in everyone),
    )


def _terms(base, part, spent):
    return policy_cost.terms(*spent, base.cpu[part], base.traffic[part], base.peak_live)


class Costs:
    """Of one workload: medians over the runs of each participant."""

    def __init__(self, runs, workload, names):
        self.base = _base(runs, workload)
        self.terms = {
            name: {
                part: [_terms(self.base, part, _spent(r)[part]) for r in _runs(runs, workload, name)] for part in PARTS
            }
            for name in names
            if _runs(runs, workload, name)
        }
        self.fixed = [name for name in self.terms if name[0].isdigit()]

    def cost(self, name, part):
        return median(terms.cost() for terms in self.terms[name][part])

    def term(self, name, part, which):
        return median(getattr(terms, which) for terms in self.terms[name][part])

    def best(self, part):
        """The fixed strategy with the least cost."""
        return min(self.fixed, key=lambda name: self.cost(name, part))

    def regret(self, name, part):
        return self.cost(name, part) / self.cost(self.best(part), part)


def _cell(costs, name, part):
    return f"{costs.regret(name, part):.3f}" if name in costs.terms else "-"


def _table(report, all_costs, names, part, heading, text):
    rows = []
    for workload, costs in all_costs.items():
        best = costs.best(part)
        rows.append([workload, best, f"{costs.cost(best, part):.2f}", *(_cell(costs, n, part) for n in names)])
    sums = []
    for name in names:
        complete = all(name in costs.terms for costs in all_costs.values())
        sums.append(f"{_sum(all_costs, name, part):.3f}" if complete else "-")
    rows.append(["sum", "", "", *sums])
    report.add(heading, text, ["", "best", "its cost", *names], rows)


def _sum(all_costs, name, part):
    return sum(costs.regret(name, part) for costs in all_costs.values())


def _details(report, workload, costs):
    rows = []
    for name in costs.terms:
        if name == LIMIT:
            continue
        row = [name]
        for part in PARTS:
            row += [number(costs.term(name, part, which)) for which in ("cpu", "faults", "memory")]
            row.append(f"{costs.cost(name, part):.3f}")
        spread = [terms.cost() for terms in costs.terms[name]["measured"]]
        rows.append([*row, f"{min(spread):.3f} to {max(spread):.3f}"])
    text = (
        f"{workload.text}. {costs.base.seconds['whole']:.1f} s, of which "
        f"{costs.base.seconds['measured']:.1f} are measured; traffic {costs.base.traffic['measured'] / 1e9:.2f} GB, "
        f"peak live {costs.base.peak_live / (1 << 20):.0f} MiB, the limit's CPU time "
        f"{costs.base.cpu['measured'] / 1e6:.0f} ms."
    )
    header = ["", "C", "F", "M", "cost", "C, whole", "F", "M", "cost", "all runs"]
    report.add(workload.name, text, header, rows, terminal=False)


def _worst(all_costs, part):
    """(regret, workload, start) of the learned policy."""
    return max(
        (costs.regret(name, part), workload, name)
        for workload, costs in all_costs.items()
        for name in LEARNED
        if name in costs.terms
    )


def add(report, runs, workloads, names, others):
    """Returns the closing line."""
    names = [name for name in names if name != LIMIT]
    all_costs = {w.name: Costs(runs, w.name, [LIMIT, *names]) for w in workloads}
    _table(
        report, all_costs, names, "measured", "Cost over the best fixed strategy's, after the warm-up",
        "Medians of the rounds. The sum's best fixed strategy is the one to choose if there were no policy.",
    )  # fmt: skip
    _table(report, all_costs, names, "whole", "The same, the warm-up included", "")
    for workload in workloads:
        _details(report, workload, all_costs[workload.name])
    _convergence(report, runs, workloads)
    rows = [
        [
            w.name,
            len(others[w.name]),
            f"{median(others[w.name]):.2f}",
            number(median(r["late_ms"] for name in names for r in _runs(runs, w.name, name))),
            number(median(r["late_sum_ms"] / r["blocks"] for name in names for r in _runs(runs, w.name, name))),
        ]
        for w in workloads
    ]
    report.add(
        "How busy the machine was", "Processors that others used beside these programs; requests come late where"
        " they use much.", ["", "rounds", "processors", "latest ms", "late ms per block"], rows
    )  # fmt: skip
    return _closing_line(all_costs)


def settled(rows):
    """(matches until the choice was the last one, matches in all, that choice in KiB, changes)"""
    choices = [row[1] for row in rows]
    changes = [i for i in range(1, len(rows)) if choices[i] != choices[i - 1]]
    return (rows[changes[-1]][2] if changes else 0, rows[-1][2], choices[-1], len(changes))


def _convergence(report, runs, workloads):
    rows = []
    for workload in workloads:
        for ratings in _runs(runs, workload.name, "ratings"):
            for name, samples in ratings.items():
                until, matches, choice, changes = settled(samples)
                if matches:
                    rows.append([f"{workload.name}, {name}", f"{until:.0f}", f"{matches:.0f}", f"{choice:.0f}", changes])
    header = ["", "until it stays", "in all", "choice KiB", "changes"]
    text = "Matches (66 a window) until the process's choice stays the same, by class of sites, from a cold start."
    if rows:
        report.add("Convergence", text, header, rows)


def _closing_line(all_costs):
    if not all(name in costs.terms for costs in all_costs.values() for name in LEARNED):
        return "policy: no regret without the learned policy"
    worst, whole = _worst(all_costs, "measured"), _worst(all_costs, "whole")
    print(f"worst: {worst[1]} ({worst[2]}); with warm-up: {whole[1]} ({whole[2]})")
    learned = max(_sum(all_costs, name, "measured") for name in LEARNED)
    fixed = {name: _sum(all_costs, name, "measured") for name in next(iter(all_costs.values())).fixed}
    best = min(fixed, key=fixed.get)
    print(f"best fixed over all workloads: {best}; learned sum: the worse of both starts")
    return (
        f"policy: worst regret {worst[0]:.3f}, with warm-up {whole[0]:.3f}, "
        f"learned sum {learned:.3f}, best fixed sum {fixed[best]:.3f}"
    )


def _median_series(runs, workload, name, base):
    """Cost summed from the start, in parts of the whole run's: one value per mark."""
    found = _runs(runs, workload, name)
    marks = min(len(r["series"]) for r in found)
    return [
        median(_terms(base, "whole", (*r["series"][mark], r["seconds"][1])).cost() for r in found)
        for mark in range(marks)
    ]


def draw(runs, workloads, names, out):
    """Blocks of data: cost by strategy, then regret over time by workload."""
    names = [name for name in names if name != LIMIT]
    all_costs = {w.name: Costs(runs, w.name, [LIMIT, *names]) for w in workloads}
    lines = [" ".join(["strategy", *(w.name for w in workloads)])]
    for name in names:
        cells = [_cell(costs, name, "measured").replace("-", "NaN") for costs in all_costs.values()]
        lines.append(" ".join([name.replace(", ", "-"), *cells]))
    blocks = ["\n".join(lines)]
    for workload in workloads:
        blocks.append("\n".join(_regret_lines(runs, workload.name, all_costs[workload.name])))
    data = f"{out}/policy.dat"
    with open(data, "w", encoding="utf-8") as file:
        file.write("\n\n\n".join(blocks) + "\n")
    rated = dict(_rating_blocks(runs, workloads))
    if rated:
        with open(f"{out}/ratings.dat", "w", encoding="utf-8") as file:
            file.write("\n\n\n".join(rated.values()) + "\n")
        plot("ratings.gp", f"{out}/ratings.dat", f"{out}/ratings.png", len(rated), "|".join(rated))
    plot("policy.gp", data, f"{out}/policy.png", len(workloads), "|".join(w.name for w in workloads))


def _rating_blocks(runs, workloads):
    """Of the class that has played most, all strategies over time."""
    for workload in workloads:
        for ratings in _runs(runs, workload.name, "ratings")[:1]:
            name = max(ratings, key=lambda key: ratings[key][-1][2])
            lines = ["seconds 512K 768K 1M 1.5M 2M 3M 4M 6M 8M 12M 16M 32M"]
            lines += [" ".join([f"{row[0] / 1000:.1f}", *(f"{r:.1f}" for r in row[3:])]) for row in ratings[name]]
            yield f"{workload.name}, {name}", "\n".join(lines)


def _regret_lines(runs, workload, costs):
    shown = [name for name in (*LEARNED, OFF) if name in costs.terms]
    lines = [" ".join(["seconds", *(name.replace(", ", "-") for name in shown)])]
    best = _median_series(runs, workload, costs.best("whole"), costs.base)
    columns = [_median_series(runs, workload, name, costs.base) for name in shown]
    for mark in range(1, min(len(column) for column in [best, *columns])):
        cells = [f"{column[mark] / best[mark]:.4f}" if best[mark] > 0 else "NaN" for column in columns]
        lines.append(" ".join([f"{mark / 10:.1f}", *cells]))
    return lines
