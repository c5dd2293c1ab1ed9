#!/bin/bash
# test_meta_plants.sh: the stress programs find what they are for. Memory that is given back to the
# kernel must be out of everybody's reach meanwhile: a build under ThreadSanitizer that publishes
# first (make PLANT=...) is reported by each of these programs, and the right one is not. Neither is a
# snapshot of what was learned published too weakly, or used again before its readers are done.
set -eu -o pipefail
cd "$(dirname "$0")/.."
cc=${CC:-gcc}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# stress PLANT PROGRAM SECONDS: sets `status`; builds what is needed.
stress() {
	local program=build/$cc-tsan${1:+-$1}/stress/$2
	env -u MAKEFLAGS -u MAKELEVEL make -s CC="$cc" BUILD=tsan PLANT="$1" "$program" >"$log" 2>&1 || {
		cat "$log"
		exit 1
	}
	status=0
	TSAN_OPTIONS=halt_on_error=1:exitcode=66:history_size=4 "$program" --seconds "$3" >"$log" 2>&1 ||
		status=$?
}

for pair in PURGE_ORDER:slices PURGE_ORDER:granules PURGE_ORDER:purge TRIM_ORDER:trim REAP_ORDER:reap \
	POLICY_ORDER:share POLICY_GRACE:share; do
	plant=${pair%:*} program=stress_${pair#*:}
	[ -f "stress/$program.c" ] || program=stress_protocol_${pair#*:}
	stress '' "$program" 1
	if [ $status -ne 0 ]; then
		echo "$program: status $status"
		tail -n 40 "$log"
		exit 1
	fi
	stress "$plant" "$program" 10
	if [ $status -ne 66 ] || ! grep -q 'ThreadSanitizer: data race' "$log"; then
		echo "$program does not find the planted mistake $plant: status $status"
		tail -n 40 "$log"
		exit 1
	fi
done

# A lock around every operation: a thread that is stopped holds it, and another is found to wait.
program=build/$cc-debug/stress/stress_suspend
env -u MAKEFLAGS -u MAKELEVEL make -s CC="$cc" BUILD=debug "$program" >"$log" 2>&1 || {
	cat "$log"
	exit 1
}
status=0
SUSPEND_PLANT=lock "$program" --seconds 20 >"$log" 2>&1 || status=$?
if [ $status -ne 1 ] || ! grep -q 'did not go on while' "$log"; then
	echo "stress_suspend does not find a lock: status $status"
	tail -n 20 "$log"
	exit 1
fi
echo "planted mistakes are found"
