# shellcheck shell=dash
# tests/vm/nodes.sh: threads and servers on several nodes, in a guest. Plain first touch gives a
# thread memory of its own node, and none of a node that has no processors while others have room.
#
#   nodes.sh NODES MEMORY_NODES DISTANCES    the machine must look so; DISTANCES joined by commas
# shellcheck source=tests/vm/guest.sh
. ./guest.sh

nodes=$1 memory_nodes=$2 distances=$3
system=/sys/devices/system/node

[ "$(cat $system/has_cpu)" = "0-$((nodes - 1))" ] || fail "nodes with processors: $(cat $system/has_cpu)"
[ "$(cat $system/has_memory)" = "0-$((nodes + memory_nodes - 1))" ] ||
	fail "nodes with memory: $(cat $system/has_memory)"
seen=$(cat $system/node*/distance | tr ' \n' ',,')
[ "$seen" = "$distances," ] || fail "distances: $seen, not $distances"
passed "$nodes nodes with processors, $memory_nodes with memory only, distances $distances"

numastat() {
	for node in $system/node[0-9]*; do
		say "$1: ${node##*/}: $(sed -n 's/.*MemFree: *\([0-9]*\) kB/\1/p' "$node/meminfo") KiB free," \
			$(cat "$node/numastat")
	done
}

# pages PID: how many pages of the process besides those of files lie on nodes with processors, and
# how many elsewhere; then those of each node.
pages() {
	cp "/proc/$1/numa_maps" /tmp/maps 2>/dev/null || return
	awk -v nodes="$nodes" '
		!/ file=/ {
			for (i = 3; i <= NF; i++)
				if (split($i, part, "=") == 2 && part[1] ~ /^N[0-9]+$/)
					sum[substr(part[1], 2) + 0] += part[2]
		}
		END {
			for (node in sum) {
				if (node + 0 < nodes) here += sum[node]; else there += sum[node]
				each = each " node" node " " sum[node]
			}
			print here + 0, there + 0, each
		}' /tmp/maps
}

# watched NAME COMMAND...: runs it, and counts meanwhile what it has on each node; it must have
# memory somewhere, and none on a node without processors. COMMAND is no function: timeout becomes
# its process.
watched() {
	local name="$1" pid here there each most='' most_here=0 most_there=0 status=0
	shift
	timeout -s KILL 90 "$@" >/tmp/out 2>/tmp/err &
	pid=$!
	while kill -0 $pid 2>/dev/null; do
		read -r here there each <<-END
			$(pages $pid)
		END
		if [ "${here:-0}" -gt $most_here ]; then
			most_here=$here most=$each
		fi
		[ "${there:-0}" -le $most_there ] || most_there=$there
		sleep 0.2
	done
	wait $pid || status=$?
	[ $status -eq 0 ] || fail "$name: status $status: $(tail -n 5 /tmp/out) $(tail -n 5 /tmp/err)"
	! grep -q '^hakmem' /tmp/err || fail "$name: the library reported: $(cat /tmp/err)"
	at_least "$name: pages on nodes with processors ($most)" $most_here 100
	[ $memory_nodes -eq 0 ] || at_most "$name: pages on nodes without processors" $most_there 0
}

numastat before
expect "program with threads and a fork" ok hak ./prog_work hakmem
# The library inside the stress program is the archive.
watched "stress" ./stress_mixed --seconds 3 --threads 4 --seed 1
watched "threads after threads" env LD_PRELOAD=$library ./fill -t 4 cycle 48
watched "kv_server, glibc" ./kv_server --seconds 2 --threads 2 --clients 2 --keys 500
watched "kv_server" env LD_PRELOAD=$library ./kv_server --seconds 5 --threads 2 --clients 4 --keys 500
grep -qx 'errors  *0' /tmp/out || fail "kv_server: $(cat /tmp/out)"
grep -q '^values verified  *[1-9]' /tmp/out || fail "kv_server verified nothing"
passed "kv_server: $(grep -E '^(requests/s|values|threads|peak)' /tmp/out | tr -s ' \n' ' ')"
numastat after
finish
