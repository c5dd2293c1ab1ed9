"""What the numbers were measured on."""

import glob
import hashlib
import os
import platform
import subprocess


def _read(path, default="unknown"):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return default


def _output(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _cpu_model():
    for line in _read("/proc/cpuinfo", "").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _memory_gib():
    kib = int(_read("/proc/meminfo", "MemTotal: 0").split()[1])
    return round(kib / (1 << 20), 1)


def _chosen(path):
    """The value in brackets: 'always [madvise] never'."""
    text = _read(path)
    return text[text.index("[") + 1 : text.index("]")] if "[" in text else text


def version(allocator):
    """The package and its version, or for other files a digest of their content."""
    if not allocator.path:
        return os.confstr("CS_GNU_LIBC_VERSION")
    real = os.path.realpath(allocator.path)
    for path in (real, allocator.path):
        owner = _output("dpkg-query", "-S", path)
        if owner:
            package = owner.split(": ")[0].splitlines()[0]
            return _output("dpkg-query", "-W", "-f", "${Package} ${Version}", package)
    with open(real, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()[:12]
    return f"{os.path.relpath(real)} sha256 {digest}"


def load():
    """Runnable processes, averaged over the last minute: what else used the machine."""
    return _read("/proc/loadavg").split()[0]


def describe(allocators):
    """Facts in the order in which they are printed."""
    compiler = _output("gcc", "--version").splitlines()
    return {
        "CPU": _cpu_model(),
        "cores": f"{len(os.sched_getaffinity(0))} usable of {os.cpu_count()}",
        "NUMA nodes": str(len(glob.glob("/sys/devices/system/node/node[0-9]*")) or 1),
        "memory": f"{_memory_gib()} GiB",
        "kernel": platform.release(),
        "transparent huge pages": _chosen("/sys/kernel/mm/transparent_hugepage/enabled"),
        "overcommit": _read("/proc/sys/vm/overcommit_memory"),
        "load before": load(),
        "compiler": compiler[0] if compiler else "unknown",
        "sources": _output("git", "describe", "--always", "--dirty") or "unknown",
        **{
            allocator.name: " ".join([version(allocator), *(f"{k}={v}" for k, v in allocator.options.items())])
            for allocator in allocators
        },
    }
