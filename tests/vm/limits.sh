# shellcheck shell=dash
# tests/vm/limits.sh: kernels that limit memory, in a guest: strict accounting, control groups,
# address space, locked memory, and no /proc and /sys.
# shellcheck source=tests/vm/guest.sh
. ./guest.sh
ulimit -s 1024 # stacks count too, and a fork doubles them

# ---- Strict accounting: every private writable page counts, touched or not --------------------

# The kernel leaves a reserve of one 32nd of a process's address space, reserved space too, but at
# most user_reserve_kbytes: what the library reserves costs that much.

echo 20 >/proc/sys/vm/overcommit_ratio
echo 2 >/proc/sys/vm/overcommit_memory
reserve=$(($(cat /proc/sys/vm/user_reserve_kbytes) / 1024))
say "$(grep -h Commit /proc/meminfo | tr -s ' \n' ' '), reserve $reserve MiB"
for threads in 1 4; do
	for bytes in 500 20000 300000; do
		number "glibc, strict accounting" plain ./fill -t $threads limit $bytes
		before=$value
		number "strict accounting" hak ./fill -t $threads limit $bytes
		at_least "MiB in blocks of $bytes, $threads threads (glibc $before)" "$value" \
			$(((before - reserve) * 85 / 100))
	done
done
expect "many threads, strict accounting" cycled hak ./fill -t 24 cycle 12
# A fork counts all that its parent has made accessible, which the library does ahead of use.
echo 50 >/proc/sys/vm/overcommit_ratio
expect "strict accounting, glibc" ok plain ./prog_work -
expect "strict accounting" ok hak ./prog_work hakmem
echo 0 >/proc/sys/vm/overcommit_memory

# ---- A control group with a limit -------------------------------------------------------------

group=/sys/fs/cgroup/limited
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
mkdir $group
echo $((64 << 20)) >$group/memory.max

# ./inside COMMAND...: in the group.
printf '#!/bin/sh\necho $$ >%s/cgroup.procs && exec "$@"\n' $group >inside
chmod 755 inside
# kills: how often the kernel ended a process of the group.
kills() {
	sed -n 's/^oom_kill //p' $group/memory.events
}

# beyond COMMAND...: the kernel kills it, as it goes beyond the group's limit.
beyond() {
	local status=0 before
	before=$(kills)
	"$@" >/dev/null 2>&1 || status=$?
	[ $status -eq 137 ] || fail "beyond memory.max: status $status, not 137: $*"
	[ "$(kills)" -eq $((before + 1)) ] || fail "$(($(kills) - before)) processes killed: $*"
	passed "beyond memory.max: killed by the kernel: $*"
}

beyond plain ./inside ./fill hold 80 3000
beyond hak ./inside ./fill hold 80 3000
beyond hak ./inside ./fill -t 4 hold 80 200000
expect "within memory.max" held hak ./inside ./fill hold 48 3000
expect "within memory.max, four threads" held hak ./inside ./fill -t 4 hold 48 200000
expect "within memory.max, size after size" cycled plain ./inside ./fill -t 2 cycle 32
expect "within memory.max, size after size" cycled hak ./inside ./fill -t 2 cycle 32
expect "within memory.max" ok hak ./inside ./prog_work hakmem
at_most "kills" "$(kills)" 3

# memory.high slows a process down and takes memory back, but ends nothing.
echo $((40 << 20)) >$group/memory.high
expect "beyond memory.high" held hak ./inside ./fill -t 2 hold 44 3000
echo max >$group/memory.high

# ---- Address space and locked memory ----------------------------------------------------------

for mib in 64 200; do
	number "ulimit -v $mib MiB" sh -c "ulimit -v $((mib * 1024)) && exec timeout -s KILL 90 env LD_PRELOAD=$library \
		./fill limit 3000"
	at_least "MiB under ulimit -v $mib MiB" "$value" $((mib / 2))
done
expect "ulimit -v 200 MiB" ok sh -c "ulimit -v 204800 && exec timeout -s KILL 90 env LD_PRELOAD=$library ./prog_work hakmem"
expect "mlockall" held hak ./fill -l -t 2 hold 16 3000
expect "mlockall, size after size" cycled hak ./fill -l -t 2 cycle 8
number "mlockall, glibc" sh -c 'ulimit -l 65536 && exec ./fill -u 65534 -l limit 3000'
before=$value
number "mlockall, 64 MiB" sh -c "ulimit -l 65536 && exec timeout -s KILL 90 env LD_PRELOAD=$library ./fill -u 65534 -l limit 3000"
at_least "MiB of 64 that a user may lock (glibc $before)" "$value" $((before / 2))

# ---- Without /proc and /sys -------------------------------------------------------------------

umount /sys/fs/cgroup /sys /proc
[ ! -e /proc/self ] && [ ! -e /sys/devices ] || fail "/proc or /sys is still there"
expect "without /proc and /sys" ok hak ./prog_work hakmem
expect "without /proc and /sys, threads" cycled hak ./fill -t 4 cycle 8
hak ./kv_server --seconds 1 --local --threads 2 --clients 2 --keys 100 >/tmp/kv 2>&1 ||
	fail "kv_server without /proc and /sys: $(cat /tmp/kv)"
grep -qx 'errors  *0' /tmp/kv || fail "kv_server: $(cat /tmp/kv)"
passed "without /proc and /sys, the key-value server: $(sed -n 's/^requests  *//p' /tmp/kv) requests"
finish
