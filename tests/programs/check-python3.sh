#!/bin/bash
# check-python3.sh: Debian's python3 under the library, with every object from malloc: its own
# tests for threads, subprocess and ctypes where the package of tests can be had, and a script of
# ours that checks what it computes.
# timeout: 240
# shellcheck source=tests/programs/lib.sh
source "$(dirname "$0")/lib.sh"

python=/usr/bin/python3
[ -x "$python" ] || skip "no $python"
# Its own small-object allocator would hide most allocations.
preload_env=(PYTHONMALLOC=malloc)

cat >"$work/own.py" <<'PYTHON'
import ctypes, hashlib, json, os, subprocess, sys, threading, queue, zlib, random

maps = open("/proc/self/maps").read()
assert sys.argv[1] in maps, "the library is not mapped"

handed = queue.Queue(64)
sums = []

def produce(seed):
    rng = random.Random(seed)
    for i in range(400):
        size = rng.choice((20, 300, 5000, 70000, 300000))
        data = bytes(rng.getrandbits(8) for _ in range(20)) * (size // 20)
        handed.put((hashlib.sha256(data).hexdigest(), zlib.compress(data, 1)))
    handed.put(None)

def consume():
    count = 0
    while True:
        item = handed.get()
        if item is None:
            break
        assert hashlib.sha256(zlib.decompress(item[1])).hexdigest() == item[0]
        count += 1
    sums.append(count)

threads = [threading.Thread(target=produce, args=(i,)) for i in range(3)]
threads += [threading.Thread(target=consume) for i in range(3)]
for thread in threads:
    thread.start()
for i in range(8):
    text = subprocess.run([sys.executable, "-c", "print('x' * %d)" % (1 << i)],
                          capture_output=True, text=True, check=True).stdout
    assert len(text) == (1 << i) + 1
for thread in threads:
    thread.join()
assert sum(sums) == 1200, sums

for i in range(200):
    pid = os.fork() if i % 20 == 0 else None
    if pid == 0:
        [bytearray(n) for n in range(0, 100000, 997)]
        os._exit(5)
    if pid is not None:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5

tree = {str(i): [i, {"name": "n%d" % i, "half": i / 2}] for i in range(30000)}
assert json.loads(json.dumps(tree)) == tree
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
libc.malloc_usable_size.argtypes = [ctypes.c_void_p]
libc.malloc_usable_size.restype = ctypes.c_size_t
for size in (1, 100, 5000, 1 << 20, 1 << 23):
    block = libc.malloc(size)
    assert block and block % 16 == 0 and libc.malloc_usable_size(block) >= size
    ctypes.memset(block, 0x5a, size)
    libc.free(block)
print("own script passed")
PYTHON
preloaded "$python" "$work/own.py" "$HAK_LIB" >"$work/own.out" 2>"$work/own.err" ||
	fail "our own script failed"
assert_same "output" "own script passed" "$(cat "$work/own.out")"
for file in "$work"/bindings.*; do
	assert_bound "$file"
	rm "$file"
done

# The package of tests goes together with the modules that the machine has: both in one place.
modules=$("$python" -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
package=lib$(basename "$modules")-testsuite
suite="not available"
if unpack "$package"; then
	mkdir "$work/lib"
	cp -r "$modules/test" "$modules/ctypes" "$work/lib/"
	cp -r "$root$modules/test" "$root$modules/ctypes" "$work/lib/"
	export PYTHONPATH=$work/lib
	mkdir "$work/tmp"
	tests=(test_thread test_threading test_threadsignals test_queue test_subprocess test_ctypes
		test_fork1)
	# That one hangs on a busy machine with any allocator.
	left_out=(-i test_4_daemon_threads)
	status=0
	TMPDIR=$work/tmp only_preloaded timeout 150 "$python" -m test -j2 --timeout 100 \
		"${left_out[@]}" "${tests[@]}" >"$work/suite.out" 2>"$work/suite.err" </dev/null || status=$?
	if [ "$status" -ne 0 ]; then
		# What fails here is compared: some tests fail on some machines without us.
		sed -n '/^[0-9]* tests\? failed/,/^$/p' "$work/suite.out" |
			grep -o 'test_[a-z0-9_]*' | sort -u >"$work/failed" || true
		[ -s "$work/failed" ] || fail "python's tests ended with status $status"
		mapfile -t failed <"$work/failed"
		TMPDIR=$work/tmp timeout 100 "$python" -m test --timeout 60 \
			"${left_out[@]}" "${failed[@]}" >"$work/suite-without.out" 2>&1 </dev/null &&
			fail "only under the library fail: ${failed[*]}"
		say "fail also without the library, not counted: ${failed[*]}"
	fi
	assert_silent "$work/suite.err" "$work/suite.out"
	suite=$(sed -n '/^[0-9]* tests\? OK\|^All [0-9]* tests OK/s/\.$//p' "$work/suite.out")
fi
assert_silent "$work/own.err"
say "passed; python's own tests: $suite"
