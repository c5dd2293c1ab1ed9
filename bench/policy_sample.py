"""A process watched from outside: its CPU time, minor faults and resident memory
over time, as the kernel counts them. One sample takes about 20 us of another
process than the one watched; they come at random distances, so that nothing
periodic in the program is always met at the same point."""

import os
import random
import threading
import time
from bisect import bisect_left

MEAN_S = 0.010
MARK_NS = 100_000_000
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
MINFLT, UTIME, STIME = 9, 13, 14  # fields of /proc/PID/stat, from 0
SECOND_NS = 1_000_000_000


class Watch(threading.Thread):
    """Samples until the process ends. A sample: (when, CPU ns, faults, resident bytes)."""

    def __init__(self, pid, seed):
        super().__init__(daemon=True)
        self.pid = pid
        self.samples = []
        self.clock = (~pid << 3) | 2  # the kernel's number for the CPU clock of a process
        self.rng = random.Random(seed)

    def run(self):
        try:
            self._watch()
        except OSError:
            pass  # it has ended

    def _watch(self):
        base = f"/proc/{self.pid}"
        stat = os.open(f"{base}/stat", os.O_RDONLY)
        statm = os.open(f"{base}/statm", os.O_RDONLY)
        try:
            while True:
                fields = os.pread(stat, 1024, 0).rsplit(b")", 1)[1].split()
                resident = int(os.pread(statm, 128, 0).split()[1]) * PAGE_BYTES
                cpu = time.clock_gettime_ns(self.clock)
                if fields[0] == b"Z":
                    return
                self.samples.append((time.monotonic_ns(), cpu, int(fields[MINFLT - 2]), resident))
                time.sleep(self.rng.uniform(0.5, 1.5) * MEAN_S)
        finally:
            os.close(stat)
            os.close(statm)

    def series(self, begin_ns, end_ns, step_ns=MARK_NS):
        """Rows [CPU ns, faults, resident byte seconds] since begin_ns, one each step_ns, the last at end_ns."""
        summed = self._summed()
        moments = [*range(begin_ns, end_ns, step_ns), end_ns]
        first = self._at(summed, begin_ns)
        return [[round(now - then) for now, then in zip(self._at(summed, at), first)] for at in moments]

    def _summed(self):
        """(when, CPU ns, faults, resident byte seconds)"""
        total, before = 0.0, None
        summed = []
        for when, cpu, faults, resident in self.samples:
            if before:
                total += (resident + before[1]) / 2 * (when - before[0]) / SECOND_NS
            before = (when, resident)
            summed.append((when, cpu, faults, total))
        return summed

    def _at(self, summed, when):
        """Between the samples around `when`."""
        place = bisect_left(summed, (when,))
        if not 0 < place < len(summed):
            raise ValueError(f"process {self.pid} was not watched the whole time")
        before, after = summed[place - 1], summed[place]
        share = (when - before[0]) / (after[0] - before[0])
        return [b + (a - b) * share for b, a in zip(before[1:], after[1:])]


def busy_s():
    """CPU seconds that all processors together have worked since the machine started."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _, _, irq, softirq = (int(word) for word in file.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
