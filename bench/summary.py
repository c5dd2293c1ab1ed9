"""What the runs say: medians, ratios, geometric means and verdicts, per test."""

import stats
from allocators import GLIBC, HAKMEM, MIMALLOC

LIMIT = "limit"  # not an allocator: the scenarios' loop without one


class Summary:
    def __init__(self, session):
        self.data = session.data
        self.tests = session.tests
        self.names = [allocator.name for allocator in session.allocators]
        self.peers = [name for name in self.names if name != HAKMEM]
        self.failures = session.failures()
        self._cache = {}

    # One test

    def samples(self, test, name, key):
        """One value per run, None where it failed. `ns` is wall time per operation,
        `cpu_us` user and system time together."""
        place = (test.name, name, key)
        if place not in self._cache:
            self._cache[place] = [None if r is None else _value(r, key) for r in self.data[test.name].get(name, [])]
        return self._cache[place]

    def good(self, test, name):
        runs = self.data[test.name].get(name, [])
        return bool(runs) and None not in runs

    def median(self, test, name, key):
        values = [v for v in self.samples(test, name, key) if v is not None]
        return stats.median(values) if values else None

    def spread(self, test, name, key):
        values = [v for v in self.samples(test, name, key) if v is not None]
        return stats.spread(values) if values else None

    def quantile(self, test, name, key, share):
        values = [v for v in self.samples(test, name, key) if v is not None]
        return stats.quantile(values, share) if values else None

    def best_peer(self, test):
        """The peer with the lowest median time that passed every run."""
        good = [name for name in self.peers if self.good(test, name)]
        return min(good, key=lambda name: self.median(test, name, "ns"), default=None)

    def ratio(self, test, first, second, key="ns"):
        if first == second or not (self.good(test, first) and self.good(test, second)):
            return None
        return stats.ratio(self.samples(test, first, key), self.samples(test, second, key))

    def above_limit(self, test, name):
        """(difference, low, high) in ns per operation between `name` and no allocator."""
        if not (self.good(test, name) and self.good(test, LIMIT)):
            return None
        return stats.difference(self.samples(test, name, "ns"), self.samples(test, LIMIT, "ns"))

    def verdict(self, test):
        """How hakmem's time stands to the best peer's."""
        if not self.good(test, HAKMEM):
            return "FAILED" if HAKMEM in self.names else ""
        found = self.ratio(test, HAKMEM, self.best_peer(test))
        return stats.verdict(found[1], found[2]) if found else ""

    # All tests

    def geometric_mean(self, first, second, key="ns", group=None):
        """Over the tests that both passed: first's median over second's."""
        ratios = [
            self.median(test, first, key) / self.median(test, second, key)
            for test in self.tests
            if (group is None or test.group == group) and self.good(test, first) and self.good(test, second)
        ]
        return stats.geometric_mean(ratios) if ratios else None

    def geometric_ratio(self, first, second, key="ns"):
        tests = [t for t in self.tests if self.good(t, first) and self.good(t, second)]
        return stats.geometric_ratio([(self.samples(t, first, key), self.samples(t, second, key)) for t in tests])

    def best_peer_overall(self):
        means = {name: self.geometric_mean(name, GLIBC) for name in self.peers}
        known = [name for name in self.peers if means[name] is not None]
        return min(known, key=lambda name: means[name], default=None)

    def failed_tests(self, name):
        return [test.name for test in self.tests if not self.good(test, name)]

    def groups(self):
        return list(dict.fromkeys(test.group for test in self.tests))

    def verdict_counts(self):
        verdicts = [self.verdict(test) for test in self.tests]
        return {word: verdicts.count(word) for word in ("faster", "tie", "slower", "FAILED")}

    def last_line(self):
        best = self.best_peer_overall()
        if HAKMEM not in self.names or best is None:
            return f"bench: time - of best peer {best}, rss - of glibc"
        if self.failed_tests(HAKMEM):
            return f"bench: time failed of best peer {best}, rss failed of glibc"
        time = self.geometric_mean(HAKMEM, best)
        rss = self.geometric_mean(HAKMEM, GLIBC, "peak_kib")
        return f"bench: time {time:.3f} of best peer {best}, rss {rss:.3f} of glibc"

    def has_mimalloc(self):
        return MIMALLOC in self.names


def _value(result, key):
    if key == "ns":
        return result["wall_ns"] / result["ops"]
    if key == "cpu_us":
        return max(1, result["user_us"] + result["sys_us"])
    return result[key]


def idle_kib_per_thread(idle, blocks, name):
    """Resident memory and page tables per idle thread beyond glibc's threads without malloc."""
    result, base = idle.get(blocks, {}).get(name), idle.get(0, {}).get(GLIBC)
    if not result or not base:
        return None
    beyond = result["rss_kib"] + result["tables_kib"] - base["rss_kib"] - base["tables_kib"]
    return beyond / result["ops"]
