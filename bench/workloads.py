"""The list of tests: which program, with which arguments, in which group.

`ops` is the work of one run in the full benchmark, chosen so that a run takes
a few tenths of a second; the quick benchmark divides it. Scenarios have a
fixed number of operations and are run more often instead.
"""

from dataclasses import dataclass, field

THREADS = (1, 2, 8)
QUICK_DIVISOR = 4


@dataclass(frozen=True)
class Test:
    name: str
    group: str
    program: str
    args: dict = field(default_factory=dict)
    ops: int = 0  # 0: the program's own number, never divided
    floor_kib: int = 0  # less resident memory than this means the work was not done

    def command(self, programs, seed, quick, limit=False):
        args = dict(self.args)
        if self.ops:
            args["ops"] = self.ops // (QUICK_DIVISOR if quick else 1)
        if limit:
            args["limit"] = 1
        words = [f"{key}={value}" for key, value in args.items()]
        return [f"{programs}/{self.program}", f"seed={seed}", *words]


def _threaded():
    for threads in THREADS:
        for name, program, args, ops in (
            ("larson", "bench_larson", {}, 3000000),
            ("xmalloc", "bench_xmalloc", {}, 2000000),
            ("cache-thrash", "bench_cache", {"scratch": 0}, 240000),
            ("cache-scratch", "bench_cache", {"scratch": 1}, 240000),
            ("transfer", "bench_transfer", {}, 150000),
            ("threads", "bench_threads", {}, 2400),
            ("threadtest", "bench_batch", {"size": 64}, 8000000),
            ("churn-0", "bench_churn", {"remote": 0}, 2400000),
            ("churn-50", "bench_churn", {"remote": 50}, 1200000),
            ("churn-90", "bench_churn", {"remote": 90}, 1200000),
        ):
            if args.get("remote") and threads == 1:
                continue
            yield Test(f"{name}-{threads}t", "threads", program, {**args, "threads": threads}, ops)


def _single():
    yield Test("pair-16B", "pairs", "bench_pair", {"size": 16}, 16000000)
    yield Test("pair-1KiB", "pairs", "bench_pair", {"size": 1024}, 12000000)
    yield Test("pair-64KiB", "pairs", "bench_pair", {"size": 65536}, 2000000, 64)
    yield Test("batch-1KiB", "batches", "bench_batch", {"size": 1024}, 1200000, 10000)
    yield Test("batch-64B-scattered", "batches", "bench_batch", {"size": 64, "scatter": 1}, 6000000, 625)


def _scenarios():
    for which, (name, floor_kib) in enumerate((("json", 64), ("mir", 256), ("vm", 2048), ("mixed", 2048))):
        for fill, use in ((0, "touch"), (1, "fill")):
            args = {"which": which, "fill": fill}
            yield Test(f"{name}-{use}", "scenarios", "bench_scenario", args, 0, floor_kib)


TESTS = [*_threaded(), *_single(), *_scenarios()]

IDLE_THREADS = 10000
QUICK_IDLE_THREADS = 2000
# Blocks per idle thread: one of 64 bytes, and sixteen of mixed sizes.
IDLE_BLOCKS = (1, 16)
BURST_THREADS = (1, 4)
BURST_SECONDS = (0, 1, 2, 5, 10)
STARTUP_RUNS = 300
QUICK_STARTUP_RUNS = 60
STARTUP_RSS_RUNS = 5
