#!/bin/bash
# test_meta_run.sh: the runner counts, times out, cleans up and says what failed.
set -eu -o pipefail
run=$(cd "$(dirname "$0")" && pwd)/run
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

script() { # script NAME BODY
	printf '#!/bin/bash\n%s\n' "$2" >"$1"
	chmod +x "$1"
}
wrong() {
	echo "$1"
	cat said
	exit 1
}
last_line() {
	[ "$(tail -n 1 said)" = "$1" ] || wrong "the last line is not '$1'"
}

script good 'echo fine'
script bad 'for i in {1..100}; do echo "noise $i"; done; exit 1'
script lame 'echo "no such thing here"; exit 77'
script slow 'sleep 300 & echo $! >child; sleep 300'
script leaver 'sleep 300 & echo $! >child'
script args 'echo "got $*"; [ "$*" = "--seconds 3 --seed x" ] && [ "$K" = v ] && [ -z "${LD_PRELOAD-}" ]'
script crash 'kill -SEGV $$'

"$run" -o log --group one ./good >said || wrong "a passing test fails"
last_line "1 passed, 0 failed, 0 skipped"
grep -q noise said && wrong "output of a passing test is shown"
grep -q fine log/one-good.log || wrong "the log of a passing test is not kept"

if "$run" -o log --group one ./good ./bad --group two ./lame ./crash ./good "true and more" >said; then
	wrong "a failing test passes"
fi
last_line "3 passed, 2 failed, 1 skipped"
grep -q '^FAIL one/bad' said || wrong "the failed test is not named"
grep -q 'noise 100' said || wrong "the output of a failed test is not shown"
grep -q 'noise 20$' said && wrong "more than the last 40 lines are shown"
grep -q 'no such thing' said || wrong "the reason of a skip is not shown"
grep -q 'noise 1$' log/one-bad.log || wrong "the whole output is not kept"

for test in slow leaver; do
	"$run" -o log --group one --timeout 1 "./$test" >said || true
	[ "$test" = slow ] && last_line "0 passed, 1 failed, 0 skipped"
	sleep 0.2
	# A killed orphan may stay as a zombie for a while.
	if grep -q '^State:[[:space:]]*[RSDTtI]' "/proc/$(cat child)/status" 2>/dev/null; then
		kill "$(cat child)"
		wrong "$test leaves a process behind"
	fi
done
# time_given LOAD SECONDS: what a test with a limit of one second gets.
time_given() {
	echo "$1 0.00 0.00 1/1 1" >loadavg
	HAK_TEST_LOADAVG=loadavg "$run" -o log --group one --timeout 1 ./slow >said || true
	grep -q "the limit is $2 s" said || wrong "under a load of $1 the limit is not $2 s"
}
time_given 0.90 1
time_given "$(($(nproc) * 2)).50" 2
time_given "$(($(nproc) * 40)).00" 4

"$run" -o log --group one --env K=v --args "--seconds 3 --seed x" ./args >said || wrong "arguments"

if "$run" >said 2>&1; then wrong "no tests at all is not an error"; fi
if "$run" --group x --timeout soon good >said 2>&1; then wrong "a timeout that is no number"; fi
grep -q soon said || wrong "the wrong value is not named"
if "$run" --group x --preload /nonexistent.so good >said 2>&1; then wrong "a missing library"; fi
if "$run" --group x /nonexistent >said 2>&1; then wrong "a missing test passes"; fi
last_line "0 passed, 1 failed, 0 skipped"
