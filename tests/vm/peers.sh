# shellcheck shell=dash
# tests/vm/peers.sh: the placement table: every malloc under the same programs, on a machine with
# several nodes. Ours must be the best in every row.
#
#   peers.sh NAME=FILE...    the mallocs; FILE empty: the C library's
# shellcheck source=tests/vm/guest.sh
. ./guest.sh
export LD_LIBRARY_PATH=/guest
table=/tmp/table

for entry in "$@"; do
	name=${entry%%=*} file=${entry#*=}
	said=$(timeout -s KILL 90 env LD_PRELOAD="$file" ./place rows 8 2>&1) || fail "$name: $said"
	echo "$name $said" >>$table
	say "$(printf '%-10s' "$name") $said"
done
best=$(awk '
	$1 == "hakmem" { for (i = 3; i <= 9; i += 2) ours[i] = $i }
	{ for (i = 3; i <= 9; i += 2) if ($i > best[i]) best[i] = $i }
	END {
		for (i = 3; i <= 9; i += 2)
			if (ours[i] < best[i] || (i < 9 && ours[i] < 99)) printf "%s is not %s; ", ours[i], best[i]
	}' $table)
[ -z "$best" ] || fail "not the best: $best"
passed "hakmem is the best in every row, and above 99% where the thread has not moved"

# Threads of a server that are bound to a node, with all that they allocate: pages by node.
pages() {
	awk '
		!/ file=/ && !/stack/ {
			for (i = 3; i <= NF; i++)
				if (split($i, part, "=") == 2 && part[1] ~ /^N[0-9]+$/)
					sum[substr(part[1], 2) + 0] += part[2]
		}
		END { for (node = 0; node < 4; node++) printf "node%d %d ", node, sum[node] }' "/proc/$1/numa_maps"
}

# Until somebody listens (state 0A).
wait_port() {
	tries=0
	until grep -q ":$(printf '%04X' "$1") 00000000:0000 0A" /proc/net/tcp; do
		tries=$((tries + 1))
		[ $tries -lt 200 ] || fail "port $1: nobody listens: $(tail -n 3 /tmp/server)"
		sleep 0.1
	done
}

stop() {
	kill "$1"
	wait "$1" || [ $? -eq 143 ] || fail "$2: status $?: $(tail -n 3 /tmp/server)"
	! grep -q '^hakmem' /tmp/server || fail "$2: the library reported: $(grep '^hakmem' /tmp/server)"
}

# What of a server that runs on node 1 alone lies there, and where that of one on all nodes does.
port=7000
redis() {
	local name="$1" file="$2" where="$3" pid
	shift 3
	port=$((port + 1))
	env LD_PRELOAD="$file" "$@" ./redis-server --port $port --bind 127.0.0.1 --save '' --io-threads 2 \
		--protected-mode no >/tmp/server 2>&1 &
	pid=$!
	wait_port $port
	./redis-benchmark -p $port -q -n 4000 -c 8 -r 2000 -d 2000 -t set,get,lpush,hset >/tmp/out 2>&1 ||
		fail "redis-benchmark: $(tail -n 3 /tmp/out)"
	! grep -qi error /tmp/out || fail "redis-benchmark: $(cat /tmp/out)"
	say "$(printf 'redis, %s, %-10s' "$where" "$name") $(pages $pid)"
	stop $pid "redis, $name"
}
memcached() {
	local name="$1" file="$2" where="$3" pid
	shift 3
	port=$((port + 1))
	env LD_PRELOAD="$file" "$@" ./memcached -u root -l 127.0.0.1 -p $port -t 4 -m 64 >/tmp/server 2>&1 &
	pid=$!
	wait_port $port
	said=$(./memcached_load $port 4 150 2>&1) || fail "memcached, $name: $said"
	[ "$said" = right ] || fail "memcached, $name: $said"
	say "$(printf 'memcached, %s, %-10s' "$where" "$name") $(pages $pid)"
	stop $pid "memcached, $name"
}
for entry in "$@"; do
	name=${entry%%=*} file=${entry#*=}
	redis "$name" "$file" "all nodes"
	redis "$name" "$file" "node 1" ./numactl --cpunodebind=1
	memcached "$name" "$file" "all nodes"
	memcached "$name" "$file" "node 1" ./numactl --cpunodebind=1
done
passed "redis and memcached answered right"
finish
