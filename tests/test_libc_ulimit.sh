#!/bin/bash
# Programs under ulimit -v from the shell, threads and a forked child included; a limit that is too
# small for the program ends in its own message, not in a crash of the allocator.
# shellcheck source=tests/shell.sh
. "$(dirname "$0")/shell.sh"
for mib in 128 256 512 1024 1536 2048 4096; do
	expect "ulimit -v $mib MiB" ok env LD_PRELOAD="$library" \
		bash -c 'ulimit -v $(($1 * 1024)) && exec "$2" "$3"' sh $mib "$work" "$name"
done
for mib in 20 24 32 48 64; do
	expect "/bin/true under ulimit -v $mib MiB" "" \
		bash -c 'ulimit -v $(($1 * 1024)) && LD_PRELOAD=$2 exec /bin/true' sh $mib "$library"
done
for mib in 20 32 48; do
	status=0
	said=$(bash -c 'ulimit -v $(($1 * 1024)) && LD_PRELOAD=$2 exec "$3" "$4"' sh $mib "$library" \
		"$work" "$name" 2>&1) || status=$?
	[ $status -le 1 ] || fail "ulimit -v $mib MiB: exit status $status: $said"
done
expect "ulimit -d 256 MiB" ok env LD_PRELOAD="$library" \
	bash -c 'ulimit -d 262144 && exec "$1" "$2"' sh "$work" "$name"
