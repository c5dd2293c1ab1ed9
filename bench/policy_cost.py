"""The cost of one run of bench_policy, written down before the first result:

    cost = 0.4 C + 0.3 F + 0.3 M

    C   CPU time of the process, user and system, all threads, over the CPU time of the same
        program in its limit mode: memory of its own that is kept, no allocator
    F   minor faults / (traffic / 4096); traffic: bytes allocated in blocks of 512 KiB and more
    M   average resident bytes / peak live bytes

C, F and the average are read from outside, from the kernel's accounts of the process. Traffic and
peak live bytes are counted by the program; they and the limit's CPU time are one number for all
runs of a workload (the median), so that nobody's cost is divided by a denominator of its own.
Everything is taken twice: over the measured part, and over the whole run, the warm-up included.

Less is better. A program that never faults, keeps exactly what it uses and costs no CPU time
beyond the work itself has 0.4 + 0.3 times the share of the time that it uses its memory.
"""

from dataclasses import dataclass

WEIGHT_CPU = 0.4
WEIGHT_FAULTS = 0.3
WEIGHT_MEMORY = 0.3
PAGE_BYTES = 4096


@dataclass(frozen=True)
class Terms:
    cpu: float
    faults: float
    memory: float

    def cost(self):
        return WEIGHT_CPU * self.cpu + WEIGHT_FAULTS * self.faults + WEIGHT_MEMORY * self.memory


def terms(cpu_ns, faults, resident_byte_s, seconds, limit_cpu_ns, traffic, peak_live):
    """The three terms of one part of a run; resident_byte_s is resident memory summed over time."""
    return Terms(cpu_ns / limit_cpu_ns, faults / (traffic / PAGE_BYTES), resident_byte_s / seconds / peak_live)
