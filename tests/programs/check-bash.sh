#!/bin/bash
# check-bash.sh: bash under the library: a script with arrays, strings, functions, pipelines,
# subshells, jobs, traps and here-documents must print what it prints without.
# timeout: 120
# shellcheck source=tests/programs/lib.sh
source "$(dirname "$0")/lib.sh"

cat >"$work/script" <<'SCRIPT'
declare -A squares
for ((i = 0; i < 20000; i++)); do squares[key$i]=$((i * i)); done
sum=0
for key in "${!squares[@]}"; do sum=$((sum + squares[$key])); done
echo "sum $sum of ${#squares[@]}"

text=
for ((i = 0; i < 3000; i++)); do text+="line $i of a text that grows"$'\n'; done
echo "text ${#text} ${text:30000:20}"
echo "upper ${text:0:30}" | tr a-z A-Z
words=($text)
echo "words ${#words[@]} ${words[1234]}"
unset 'words[1234]'
replaced=${text//line/row}
echo "replaced ${#replaced} $(cksum <<<"$replaced")"

fib() { if (($1 < 2)); then echo "$1"; else echo $(($(fib $(($1 - 1))) + $(fib $(($1 - 2))))); fi; }
echo "fib $(fib 9)"

seq 1 50000 | while read -r n; do ((n % 7)) || echo "$n"; done | wc -l | tr -d ' '
for job in 1 2 3 4; do (
	s=0
	for ((i = 0; i < 20000; i++)); do s=$((s + i * job)); done
	echo "job $job $s" >"$1/job.$job"
) & done
wait
cat "$1"/job.*
trap 'echo caught' USR1
kill -USR1 $$
echo "pid survives"
mapfile -t lines < <(seq 1 10000)
echo "lines ${#lines[@]} ${lines[9999]}"
[[ "abc123def" =~ ([a-z]+)([0-9]+)([a-z]+) ]] && echo "${BASH_REMATCH[2]}"
printf '%s,' {a..e}{1..3}; echo
coproc cat
echo "to the coprocess" >&"${COPROC[1]}"
read -r -u "${COPROC[0]}" answer
echo "$answer"
(exit 23)
echo "status $?"
exit 3
SCRIPT

run_script() { # run_script FORM COMMAND...
	local form=$1 status=0
	shift
	mkdir "$work/$form"
	"$@" /bin/bash "$work/script" "$work/$form" >"$work/$form.out" 2>"$work/$form.err" ||
		status=$?
	assert_same "exit status $form" 3 "$status"
}

run_script without plain
run_script with only_preloaded
cmp "$work/without.out" "$work/with.out" || fail "the outputs differ"
[ ! -s "$work/with.err" ] || fail "something on standard error"
assert_same "lines of output" 20 "$(wc -l <"$work/with.out")"

# What malloc is bound to: bash has an allocator of its own in some builds, not in Debian's.
# shellcheck disable=SC2016
preloaded /bin/bash -c 'echo $$; cat /proc/$$/maps >"$0/maps"' "$work" >"$work/pid" 2>/dev/null
assert_bound "$work/bindings.$(cat "$work/pid")"
grep -qF "$HAK_LIB" "$work/maps" || fail "bash has not mapped the library"
say "passed"
