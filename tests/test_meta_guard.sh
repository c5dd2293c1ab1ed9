#!/bin/bash
# test_meta_guard.sh: with GUARD=1 handlers that were installed behind the library's back are safe
# as well. Without, the same program finds that they are not: it would notice.
set -eu -o pipefail
cd "$(dirname "$0")/.."
cc=${CC:-gcc}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
program=build/$cc-tests/libc/test_api_signals

# signals GUARD: sets `status`; builds what is needed.
signals() {
	local library=build/$cc-debug${1:+-guard}/libhakmem.so
	env -u MAKEFLAGS -u MAKELEVEL make -s -j2 CC="$cc" BUILD=debug GUARD="$1" "$library" "$program" >"$log" 2>&1 || {
		cat "$log"
		exit 1
	}
	status=0
	(ulimit -c 0; HAK_TEST_PRELOAD=$library LD_PRELOAD=$library exec "$program" raw) >"$log" 2>&1 || status=$?
}

signals 1
if [ $status -ne 0 ]; then
	echo "handlers that the library does not know of are not safe with GUARD=1: status $status"
	tail -n 20 "$log"
	exit 1
fi
signals ''
if [ $status -eq 0 ]; then
	echo "$program does not notice handlers that are not safe"
	exit 1
fi
echo "handlers that the library does not know of are safe with GUARD=1"
