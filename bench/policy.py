#!/usr/bin/env -S python3 -B
"""What becomes of big freed blocks: eight workloads under each of the twelve
fixed strategies, without a policy, and with the learned one, from a cold start
and from what an earlier run has learned. The cost is that of policy_cost.py.

Results are in build/bench: policy.md, policy.json, policy.png, ratings.png. The last line:

    policy: worst regret R, with warm-up W, learned sum S, best fixed sum F
"""

import fnmatch
import json
import lzma
import os
import random
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field

import allocators as alloc
import harness
import policy_report
import policy_sample
from allocators import GLIBC, HAKMEM, Allocator, BenchError
from summary import LIMIT

ROUNDS = 3
# At the same time: two programs, which sleep four fifths of the time, on two processors.
JOBS = 2
TIMEOUT_S = 120
FIXED = ("512K", "768K", "1M", "1.5M", "2M", "3M", "4M", "6M", "8M", "12M", "16M", "32M")
FIXED_QUICK = ("512K", "2M", "8M", "32M")
CLASSES = ("hot", "warm", "cold")
HUGE, OFF, COLD, LOADED = "huge, 32M", "off", "learned", "learned, loaded"
TRACE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "traces", "redis.trace.xz")
# The file that a loaded run starts with was learned from other requests than those it serves.
OTHER_SEED = 1000


@dataclass(frozen=True)
class Workload:
    name: str
    which: int
    text: str


WORKLOADS = (
    Workload("reuse-2m", 0, "blocks of 2 MiB, four a request, reused within 20 ms"),
    Workload("reuse-24m", 1, "one block of 24 MiB a request, reused within 60 ms"),
    Workload("burst", 2, "half a second of work, blocks of 4 and 6 MiB, then 1.5 s of rest"),
    Workload("skewed", 3, "1 to 32 MiB, small ones far more often, about 2 live"),
    Workload("threads", 4, "eight threads, 0.5 to 24 MiB, from every 20 ms to every 1.8 s"),
    Workload("sites", 5, "4 MiB from two places: one reuses at once, one every 1.8 s"),
    Workload("phases", 6, "3 s of 2 MiB often and 12 MiB rarely, then the reverse, and again"),
    Workload("redis", 7, "recorded: a redis server with values of up to some MiB"),
)


@dataclass(frozen=True)
class Participant:
    name: str
    options: dict = field(default_factory=dict)
    limit: bool = False
    loaded: bool = False


def participants(thresholds):
    learn = {"HAKMEM_POLICY": "learn"}
    return [
        Participant(LIMIT, limit=True),
        *(Participant(size, {"HAKMEM_POLICY": f"fixed:{size}"}) for size in thresholds),
        Participant(HUGE, {"HAKMEM_POLICY": "fixed:32M", "HAKMEM_HUGE_FROM": "0"}),
        Participant(OFF, {"HAKMEM_POLICY": "off"}),
        Participant(COLD, learn),
        Participant(LOADED, learn, loaded=True),
    ]


def chosen(options):
    patterns = [word for word in options.strategies.split(";") if word]
    everyone = participants(FIXED_QUICK if options.quick else FIXED)
    found = [p for p in everyone if p.limit or not patterns or any(fnmatch.fnmatch(p.name, q) for q in patterns)]
    if not any(p.name in FIXED for p in found):
        raise BenchError("--strategies: there must be a fixed one")
    return found


class Run:
    """One program on its way, watched."""

    def __init__(self, options, workload, participant, library, seed, learned_file="", ratings=False):
        words = {"which": workload.which, "seed": seed, "limit": int(participant.limit), "ratings": int(ratings)}
        chosen = dict(participant.options)
        if learned_file:
            chosen["HAKMEM_POLICY_FILE"] = learned_file
        self.allocator = Allocator(GLIBC) if participant.limit else Allocator(HAKMEM, library.path, chosen)
        self.trace = open_trace(options, workload)
        self.process = subprocess.Popen(
            [f"{options.programs}/bench_policy", *(f"{key}={value}" for key, value in words.items())],
            env=self.allocator.environment(),
            stdin=self.trace or subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.watch = policy_sample.Watch(self.process.pid, seed)
        self.watch.start()

    def finish(self):
        try:
            result = alloc.finish(self.allocator, self.process, TIMEOUT_S)
        finally:
            if self.trace:
                self.trace.close()
        self.watch.join()
        times = [result[key] for key in ("begin_ns", "warm_ns", "end_ns")]
        try:
            return {
                "series": self.watch.series(times[0], times[2]),
                "warm": self.watch.series(times[0], times[1])[-1],
                "seconds": [(at - times[0]) / policy_sample.SECOND_NS for at in times[1:]],
                "traffic": [result["traffic_warm"], result["traffic"]],
                "peak_live": result["peak_live"],
                "late_ms": result["late_us"] / 1000,
                "late_sum_ms": result["late_sum_us"] / 1000,
                "blocks": result["ops"],
            }
        except ValueError as error:
            raise BenchError(str(error)) from None


def open_trace(options, workload):
    """The trace, unpacked beside the results."""
    if workload.name != "redis":
        return None
    path = f"{options.out}/redis.trace"
    if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(TRACE):
        with lzma.open(TRACE) as packed, open(f"{path}.new", "wb") as plain:
            shutil.copyfileobj(packed, plain)
        os.replace(f"{path}.new", path)
    return open(path, "rb")


def prepare(options, runs, workload, library, seed, ratings):
    """The file that a run over other requests leaves: a copy is loaded, so nobody changes it. Beside
    it, if wanted, a run that shows the ratings over time, and whose cost counts for nobody."""
    path = os.path.abspath(f"{options.out}/{workload.name}.learned")
    if os.path.exists(path):
        os.remove(path)
    learner = Participant(COLD, {"HAKMEM_POLICY": "learn"})
    before = Run(options, workload, learner, library, seed + OTHER_SEED, path)
    shown = Run(options, workload, learner, library, seed, ratings=True) if ratings else None
    file = runs.add(workload.name, "before", lambda: learned_file(before, path))
    if shown:
        runs.add(workload.name, "ratings", lambda: rating_rows(shown))
    return file


def learned_file(run, path):
    run.finish()
    if not os.path.exists(path):
        raise BenchError(f"{path}: HAKMEM_POLICY_FILE was not written")
    return path


def rating_rows(run):
    """{class: [[ms, choice in KiB, matches, ratings...]]}"""
    output, errors = run.process.communicate(timeout=TIMEOUT_S)
    if run.process.returncode:
        raise BenchError(f"{run.process.args}: {alloc.ending(run.process.returncode, errors)}")
    found = {}
    for line in output.splitlines():
        if line.startswith("RATING "):
            ms, number, *values = line.split()[1:]
            found.setdefault(CLASSES[int(number)], []).append([int(ms), *(float(value) for value in values)])
    if not found:
        raise BenchError(f"{run.process.args}: the library tells no ratings")
    return found


def one_round(options, runs, workload, everyone, library, turn):
    """All participants, `jobs` at a time, in another order every round. Returns what others used of the processors."""
    seed = 1 + turn
    learned = None
    if any(participant.loaded for participant in everyone):
        learned = prepare(options, runs, workload, library, seed, not turn)
    begun, busy, own = time.monotonic(), policy_sample.busy_s(), 0.0
    waiting = random.Random(f"{workload.name} {turn}").sample(everyone, len(everyone))
    while waiting:
        started = []
        for participant in waiting[: options.jobs]:
            file = ""
            if participant.loaded and learned:
                file = f"{learned}.copy"
                shutil.copyfile(learned, file)
            started.append((participant, Run(options, workload, participant, library, seed, file)))
        waiting = waiting[options.jobs :]
        for participant, run in started:
            result = runs.add(workload.name, participant.name, run.finish)
            own += result["series"][-1][0] / policy_sample.SECOND_NS if result else 0
    seconds = time.monotonic() - begun
    return max(0.0, policy_sample.busy_s() - busy - own) / seconds


def load_earlier(options, report, runs):
    """--add: the runs that are there already; they must be of the same library."""
    path = f"{options.out}/policy.json"
    if not options.add or not os.path.exists(path):
        return {"rounds": {}, "others": {}}
    with open(path, encoding="utf-8") as file:
        earlier = json.load(file)
    if earlier["machine"][HAKMEM] != report.facts[HAKMEM]:
        raise BenchError(f"--add: {path} was measured with {earlier['machine'][HAKMEM]}")
    runs.data = earlier["runs"]
    runs.failures = earlier["failures"]
    return {"rounds": earlier["rounds"], "others": earlier["others"]}


def run(options):
    patterns = [word for word in options.tests.split(",") if word]
    workloads = [w for w in WORKLOADS if not patterns or any(fnmatch.fnmatch(w.name, p) for p in patterns)]
    if not workloads:
        raise BenchError(f"--tests: nothing matches {options.tests}")
    options.allocators = HAKMEM
    library = next(a for a in harness.find_allocators(options) if a.name == HAKMEM)
    everyone = chosen(options)
    os.makedirs(options.out, exist_ok=True)
    report = harness.Report("policy", "The policy for big freed blocks", [library])
    runs = harness.Runs()
    done = load_earlier(options, report, runs)
    used = time.process_time()
    for turn in range(options.rounds):
        for workload in workloads:
            number = done["rounds"].get(workload.name, 0)
            report.check_identities()
            report.progress.show(f"round {number + 1}: {workload.name}", force=True)
            others = one_round(options, runs, workload, everyone, library, number)
            done["rounds"][workload.name] = number + 1
            done["others"].setdefault(workload.name, []).append(others)
    used = (time.process_time() - used) / max(report.progress.elapsed(), 1)
    report.facts["watching"] = f"{100 * used:.1f}% of one processor, for {options.jobs} programs at a time"
    measured = [w for w in WORKLOADS if w.name in runs.data]
    last = policy_report.add(report, runs, measured, [p.name for p in everyone], done["others"])
    report.values.update(done)
    policy_report.draw(runs, measured, [p.name for p in everyone], options.out)
    status = report.write(options.out, runs, "policy.png")
    print(last)
    return status


def main():
    parser = harness.parser(__doc__, int(os.environ.get("POLICY_ROUNDS") or ROUNDS))
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"programs at the same time (default {JOBS})")
    parser.add_argument("--quick", action="store_true", help="four of the twelve fixed strategies")
    parser.add_argument("--strategies", default="", help="only these beside the limit, as patterns: '?M;off'")
    parser.add_argument("--add", action="store_true", help="to the rounds whose results are there already")
    return harness.main(run, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
