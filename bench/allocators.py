"""Which allocators take part, how one is put under a program, and the proof
that it really was."""

import os
import signal
import subprocess
from dataclasses import dataclass, field

LIB_DIR = "/usr/lib/x86_64-linux-gnu"
HAKMEM = "hakmem"
GLIBC = "glibc"
MIMALLOC = "mimalloc"
JEMALLOC = "jemalloc"
TCMALLOC = "tcmalloc"
DEFAULT_HAKMEM = "build/libhakmem.so"
PEERS = {
    MIMALLOC: ("libmimalloc.so.2", "libmimalloc2.0"),
    JEMALLOC: ("libjemalloc.so.2", "libjemalloc2"),
    TCMALLOC: ("libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"),
    "tbbmalloc": ("libtbbmalloc_proxy.so.2", "libtbbmalloc2"),
}


class BenchError(Exception):
    """A run that failed, or input that cannot be used: one line says why."""


@dataclass(frozen=True)
class Allocator:
    name: str
    path: str = ""  # empty: no preload
    options: dict = field(default_factory=dict)

    def identity(self):
        """Another value when the file was replaced, as a build in another window does."""
        if not self.path:
            return None
        try:
            status = os.stat(self.path)
        except OSError:
            return ()
        return status.st_ino, status.st_size, status.st_mtime_ns

    def environment(self):
        """Nothing is inherited, so every allocator runs with its defaults."""
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", **self.options}
        if self.path:
            env["LD_PRELOAD"] = self.path
        return env

    def check(self, result):
        """Raises unless the program's malloc came from this allocator."""
        source = result.get("malloc_from", "nowhere")
        if self.path:
            right = os.path.realpath(source) == os.path.realpath(self.path)
        else:
            right = os.path.basename(source).startswith("libc.so")
        if not right:
            raise BenchError(f"{self.name}: malloc came from {source}")


def added(text):
    """BENCH_LIBS: name=path, or name=path,VARIABLE=value,... separated by spaces."""
    for item in text.split():
        name, equals, rest = item.partition("=")
        path, *options = rest.split(",")
        if not (name and equals and path) or not all("=" in option for option in options):
            raise BenchError(f"BENCH_LIBS: '{item}' is not name=path")
        if not os.path.isfile(path):
            raise BenchError(f"BENCH_LIBS: {name}: no file {path}")
        yield Allocator(name, os.path.abspath(path), dict(o.split("=", 1) for o in options))


def find(hakmem_path, wanted):
    """The allocators of this run, glibc first. `wanted` names some of them, or is empty."""
    found = [Allocator(GLIBC)]
    path = hakmem_path or DEFAULT_HAKMEM
    if os.path.isfile(path):
        found.append(Allocator(HAKMEM, os.path.abspath(path)))
    elif hakmem_path or HAKMEM in wanted:
        raise BenchError(f"no file {path}: run make first")
    for name, (library, package) in PEERS.items():
        path = f"{LIB_DIR}/{library}"
        if wanted and name not in wanted:
            continue
        if not os.path.isfile(path):
            raise BenchError(f"no {path}: install {package}")
        found.append(Allocator(name, path))
    found += added(os.environ.get("BENCH_LIBS", ""))
    names = [allocator.name for allocator in found]
    for name in names:
        if names.count(name) > 1:
            raise BenchError(f"two allocators are called {name}")
    for name in wanted:
        if name not in names:
            raise BenchError(f"no allocator is called {name}; there are: {', '.join([*PEERS, *names])}")
    return [a for a in found if not wanted or a.name in wanted or a.name == GLIBC]


def parse_result(output):
    """The values of a program's RESULT line; whole numbers become int."""
    for line in output.splitlines():
        if line.startswith("RESULT "):
            pairs = (word.split("=", 1) for word in line.split()[1:])
            return {key: int(value) if value.isdigit() else value for key, value in pairs}
    raise BenchError("no RESULT line")


def start(allocator, command, pass_fds=()):
    return subprocess.Popen(
        command,
        env=allocator.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=pass_fds,
    )


def ending(status, errors):
    """How a program ended, and its last words."""
    how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"status {status}"
    return ": ".join([how, *errors.strip().splitlines()[-1:]])


def finish(allocator, process, timeout_s):
    """Waits for the program and returns its checked result."""
    what = f"{allocator.name}: {' '.join(process.args)}"
    try:
        output, errors = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise BenchError(f"{what}: still running after {timeout_s} s") from None
    if process.returncode:
        raise BenchError(f"{what}: {ending(process.returncode, errors)}")
    result = parse_result(output)
    allocator.check(result)
    return result


def startup_times(program, runs, allocators):
    """{name: (minimum, median)} in ns of /bin/true from spawn to exit."""
    paths = [allocator.path or "-" for allocator in allocators]
    done = subprocess.run([program, str(runs), *paths], capture_output=True, text=True, check=False)
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("STARTUP ")]
    if done.returncode or len(lines) != len(allocators):
        raise BenchError(f"start-up: {done.stderr.strip() or 'no result'}")
    values = [tuple(int(word.split("=")[1]) for word in line[2:]) for line in lines]
    return {allocator.name: value for allocator, value in zip(allocators, values)}


def startup_kib(allocator):
    """The peak of a program that hardly allocates: cat printing its own status."""
    done = subprocess.run(
        ["/bin/cat", "/proc/self/status"], env=allocator.environment(), capture_output=True, text=True, check=False
    )
    for line in done.stdout.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise BenchError(f"{allocator.name}: cat /proc/self/status: status {done.returncode}")


def run(allocator, command, timeout_s=120):
    return finish(allocator, start(allocator, command), timeout_s)
