# shellcheck shell=dash
# tests/vm/numa.sh: where malloc's pages lie, on a machine with several nodes. The kernel is asked.
#
#   numa.sh WHAT MEMORY_NODES DISTANCES    WHAT: quick, whole, or gone (node 1 is taken offline first);
#                                          DISTANCES joined by commas, as the machine must have them
# shellcheck source=tests/vm/guest.sh
. ./guest.sh

what=$1 memory_nodes=$2 distances=$3
system=/sys/devices/system/node
export LD_LIBRARY_PATH=/guest

nodes=$(ls -d $system/node[0-9]* | wc -l)
seen=$(cat $system/node*/distance | tr ' \n' ',,')
[ "$seen" = "$distances," ] || fail "distances: $seen, not $distances"
say "nodes: $(cat $system/online), with processors: $(cat $system/has_cpu), distances $distances"

# Takes all processors and all memory of a node away, as far as the kernel lets them go.
take_node() {
	for cpu in "$system/node$1"/cpu[0-9]*; do
		echo 0 >"$cpu/online" || fail "${cpu##*/} stays"
	done
	for block in "$system/node$1"/memory[0-9]*; do
		echo offline >"$block/state" 2>/dev/null || true
	done
	say "node $1 taken: online $(cat $system/online), with processors $(cat $system/has_cpu)," \
		"with memory $(cat $system/has_memory)"
	case ,$(cat $system/has_cpu), in
	*,$1,* | *-$1,*) fail "node $1 still has processors" ;;
	esac
}
# What a node's threads left behind is used by others once nobody is left there. The helper thread
# would give it back meanwhile.
if [ "$what" = gone ]; then
	HAKMEM_HELPER=0 hak ./place deserted /tmp/gone >/tmp/deserted 2>&1 &
	pid=$!
	until grep -q second /tmp/deserted; do
		kill -0 $pid 2>/dev/null || fail "deserted: $(cat /tmp/deserted)"
		sleep 0.2
	done
	take_node 1
	touch /tmp/gone
	wait $pid || fail "deserted: $(cat /tmp/deserted)"
	say "blocks of a node that lost its processors: $(tr '\n' ' ' </tmp/deserted)"
	at_most "KiB more resident for 12 MiB, half of 32 MiB being freed" "$(tail -n 1 /tmp/deserted)" 9216
	nodes=$((nodes - 1))
fi

# tenths NUMBER: 99.5 as 995.
tenths() {
	echo "${1%.*}${1#*.}"
}

# check_rows WHAT COMMAND...: each row against what is promised.
check_rows() {
	local name="$1" said
	shift
	said=$("$@" 2>/tmp/stderr) || fail "$name: $said $(head -c 1000 /tmp/stderr)"
	[ ! -s /tmp/stderr ] || fail "$name: says on standard error: $(head -c 1000 /tmp/stderr)"
	say "$name: $said"
	# shellcheck disable=SC2086
	set -- $said
	at_least "$name: local, tenths of a percent" "$(tenths "$2")" 995
	at_least "$name: after another node's thread freed" "$(tenths "$4")" 995
	at_least "$name: new threads after many" "$(tenths "$6")" 995
	at_least "$name: a thread that moved" "$(tenths "$8")" 950
}

# same_shares WHAT ONE OTHER: hundredths of a percent by node, at most 1% apart.
same_shares() {
	echo "$2 | $3" | awk -F'|' '
		function read_shares(text, share, i, n, part) {
			n = split(text, part, " ")
			for (i = 1; i < n; i += 2) { share[part[i]] = part[i + 1]; all[part[i]] = 1 }
		}
		{
			read_shares($1, one); read_shares($2, other)
			for (node in all) {
				d = one[node] - other[node]
				if (d > 100 || d < -100) exit 1
			}
		}' || fail "$1: $2, and glibc has $3"
	passed "$1: $2 (glibc $3)"
}

# compare WHAT WORD...: shares under the policy that the words before a command put it under.
compare() {
	local name="$1" ours theirs
	shift
	ours=$("$@" env LD_PRELOAD=$library ./place shares 48) || fail "$name: status $?"
	theirs=$("$@" ./place shares 48) || fail "$name, glibc: status $?"
	same_shares "$name" "$ours" "$theirs"
}

in_group() {
	sh -c 'echo $$ >/sys/fs/cgroup/one/cgroup.procs; exec "$@"' sh "$@"
}

# hwloc and libnuma are loaded when the first thread is created, and agree with the files of /sys.
said=$(LD_DEBUG=files HAKMEM_VERBOSE=1 hak ./place counts 1 2>&1) || fail "place: status $?"
case $said in
*"calling init: /guest/libhakmem-topology.so"*) ;;
*) fail "libhakmem-topology.so is not loaded" ;;
esac
case $said in
*"nodes are read from /sys alone"*) fail "libhakmem-topology.so fails" ;;
esac
passed "hwloc and libnuma are loaded"
expect "program with threads and a fork" ok hak ./prog_work hakmem

# What glibc has in huge pages lies in few places: shares of small pages are what policies are about.
echo never >/sys/kernel/mm/transparent_hugepage/enabled

check_rows "rows" hak ./place rows 8
# Were placement switched off, this would show it.
said=$(HAKMEM_NUMA=off hak ./place rows 8) || fail "rows with HAKMEM_NUMA=off: $said"
say "rows with HAKMEM_NUMA=off: $said"
# shellcheck disable=SC2086
set -- $said
at_most "HAKMEM_NUMA=off: after another node's thread freed, tenths" "$(tenths "$4")" 900

if [ "$what" = quick ]; then
	compare "numactl --membind=1" ./numactl --membind=1
	number "bounces" hak ./place bounced 300
	at_most "KiB more resident after 300 changes of node" "$value" 2048
	finish
fi

# Thousands take a minute: on one machine.
generations=1000
[ "$nodes" -le 3 ] || generations=10000
number "generations" hak ./place generations $generations
at_least "after $generations short-lived threads, percent" "$value" 99
for policy in --membind=0 --preferred=0 --interleave=all --localalloc; do
	compare "numactl $policy" ./numactl $policy
done
[ "$what" = gone ] || compare "numactl --membind=1" ./numactl --membind=1

echo +cpuset >/sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/one
echo 0 >/sys/fs/cgroup/one/cpuset.mems
compare "cpuset with memory of node 0" in_group
[ "$nodes" -le 2 ] || ! echo 2-3 >/sys/fs/cgroup/one/cpuset.mems 2>/dev/null ||
	compare "cpuset with memory of nodes 2 and 3" in_group

said=$(hak ./place setpolicy) || fail "setpolicy: $said"
say "one thread sets a policy: $said"
# shellcheck disable=SC2086
set -- $said
at_least "after set_mempolicy, tenths of a percent as asked" "$(tenths "$2")" 990
at_least "after it was taken back" "$(tenths "$4")" 990
at_least "threads without one" "$(tenths "$6")" 995

said=$(hak ./place heaps) || fail "heaps: $said"
say "heaps on a node, interleaved: $said"
# shellcheck disable=SC2086
set -- $said
at_least "heaps on a chosen node, tenths of a percent there" "$(tenths "$2")" 1000
at_least "an interleaved heap: evenness" "$(tenths "$4")" 900
at_most "bytes on other nodes than their own, by the statistics" "$6" 0

number "bounces" hak ./place bounced 1000
at_most "KiB more resident after 1000 changes of node" "$value" 2048
for error in 1 38; do
	check_rows "NUMA calls denied with error $error" timeout -s KILL 300 \
		./place denied $error env LD_PRELOAD=$library ./place rows 4
done
number "mappings" hak ./place live 8192
at_most "mappings for 8 GiB live" "$value" 64

# A full node: the nearest come next, and memory without processors last.
if [ "$memory_nodes" -gt 0 ]; then
	last=$((nodes - 1))
	memory=$(awk '/MemTotal/ { print int($4 / 1024) }' $system/node0/meminfo)
	said=$(hak ./place counts 32)
	case $said in
	*node$last*) fail "pages on a node without processors: $said" ;;
	esac
	passed "no page on a node without processors: $said"
	said=$(hak ./place fill $((memory * 5 / 4)))
	case $said in
	*node$last*) fail "a full node 0: pages without processors, while node 1 has room: $said" ;;
	*node1*) passed "a full node 0 goes on to the next with processors: $said" ;;
	*) fail "a full node 0: $said" ;;
	esac
	at_least "MiB elsewhere, by the statistics" "$(echo "$said" | tail -n 1)" $((memory / 8))
	said=$(hak ./place fill $((memory * 9 / 4)))
	case $said in
	*node$last*) passed "all full: memory without processors is used: $said" ;;
	*) fail "all full: $said" ;;
	esac
fi
finish
