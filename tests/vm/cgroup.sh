# shellcheck shell=dash
# tests/vm/cgroup.sh: a control group's limits of memory are noticed: the library gives back what is
# idle before its process is slowed down (memory.high) or killed (memory.max), also when the limit is
# an outer group's.
# shellcheck source=tests/vm/guest.sh
. ./guest.sh
ulimit -s 1024

root=/sys/fs/cgroup
echo +memory >$root/cgroup.subtree_control
mkdir $root/outer
echo +memory >$root/outer/cgroup.subtree_control
mkdir $root/outer/inner
printf '#!/bin/sh\necho $$ >%s/outer/inner/cgroup.procs && exec "$@"\n' $root >inside
chmod 755 inside

# limits GROUP HIGH MAX: in MiB, or "max".
limits() {
	local name value
	for name in high max; do
		[ $name = high ] && value=$2 || value=$3
		[ "$value" = max ] || value=$((value << 20))
		echo "$value" >"$root/$1/memory.$name"
	done
}

# event GROUP NAME: how often so far.
event() {
	sed -n "s/^$2 //p" "$root/$1/memory.events"
}

# 40 MiB in blocks of one kind, then of another: with what may stay resident for reuse that is more
# than 72, and fits into 64 when what is idle goes first.
live=40 room=64 without=72
limits outer max max
limits outer/inner max max
expect "no limit" swung hak ./inside ./fill -t 2 swing $live
peak=$(cat $root/outer/inner/memory.peak)
at_least "MiB that the same takes without a limit" $((peak >> 20)) $without

for group in outer/inner outer; do
	limits outer max max
	limits outer/inner max max
	limits $group $room max
	before=$(event $group high)
	expect "memory.high of $group" swung hak ./inside ./fill -t 2 swing $live
	at_most "times above memory.high of $group" $(($(event $group high) - before)) 0
	limits $group max $room
	before=$(event $group max)
	expect "memory.max of $group" swung hak ./inside ./fill -t 2 swing $live
	at_most "times at memory.max of $group" $(($(event $group max) - before)) 0
	at_most "processes killed in $group" "$(event $group oom_kill)" 0
done
finish
