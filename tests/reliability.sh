#!/bin/bash
# reliability.sh SOAK_DIR: what the last runs of the checks came to, by the logs that they left in
# build/; what has not been run is said to be missing, with what runs it. Runs nothing itself.
set -u
cd "$(dirname "$0")/.."
export LC_ALL=C
soak=${1:?usage: tests/reliability.sh SOAK_DIR}

row() {
	printf '%-44s %s\n' "$1" "$2"
}

# newest NAME: the log of that name that was written last, of make check, check-all or model.
newest() {
	# shellcheck disable=SC2012
	ls -t build/check/log/"$1".log build/check-all/log/"$1".log build/*-model/log/"$1".log 2>/dev/null | head -n 1
}

# figure WHAT NAME PATTERN HOW: the last line of the log that has PATTERN.
figure() {
	local file line=
	file=$(newest "$2")
	[ -z "$file" ] || line=$(grep -aE "$3" "$file" | tail -n 1)
	row "$1" "${line:-missing: $4}"
}

# Tests of a whole run, and the sources it was of.
run() {
	local dir=$1/log what=()
	if [ ! -s "$dir/run" ]; then
		row "make ${1##*/}" "missing: make ${1##*/}"
		return
	fi
	for word in pass FAIL skip; do
		what+=("$(cat "$dir"/*.status | grep -c "^$word$") $word,")
	done
	row "make ${1##*/}" "${what[*]} $(cat "$dir/run")"
}

# What all models came to, if the logs have them all.
models() {
	local files=() name
	for name in $(sed -n 's/^MODELS := //p' stress/model/model.mk); do
		files+=("$(newest "model-build-gcc-model-models-weaken-$name")")
		[ -n "${files[-1]}" ] || files[-1]=$(newest "model-build-gcc-model-models-run-$name")
		if [ -z "${files[-1]}" ]; then
			row "models" "missing: make model"
			return
		fi
	done
	tail -q -n 1 "${files[@]}" | awk '{
		for (i = 2; i <= NF; i++) {
			if ($i ~ /^scenario/) scenarios += $(i - 1)
			if ($i ~ /^executions/) executions += $(i - 1)
			if ($i ~ /^states/) states += $(i - 1)
			if ($i == "fail" && $(i + 1) == "when") fail += $(i - 1)
		}
	} END { printf "%d scenarios, %d executions, %d states, %d accesses fail when weakened\n",
		scenarios, executions, states, fail }' | { read -r line; row "${#files[@]} models" "$line"; }
}

run build/check
run build/check-all
figure "mistakes with blocks" gcc-release-libc-test_api_misuse 'mistakes tried' "make check"
figure "the same, libhakmem-secure.so" gcc-secure-libc-test_api_misuse 'mistakes tried' "make check"
figure "bad pointers" gcc-release-libc-test_api_invalid 'pointers tried' "make check"
models
figure "mistakes planted in lock-free structures" plants-selftest 'planted mistakes found' "make check-all"
figure "mistakes planted for the fuzzers" fuzz-mutants 'planted mistakes found' "make check-all"
figure "memcheck and ASan on hak_*" checkers-checkers 'know the blocks' "make check-all"
for script in tests/programs/check-*.sh tests/programs/all-*.sh; do
	name=$(basename "$script" .sh)
	figure "$name" "programs-$name" "^$name: (passed|skipped|FAILED)" "make check-all"
done
if [ -s build/fuzz-found/summary ]; then
	sed 's/^/make fuzz: /' build/fuzz-found/summary
else
	row "make fuzz" "missing: make fuzz"
fi
if [ -s "$soak/summary" ]; then
	sed 's/^/make soak: /' "$soak/summary"
else
	row "make soak" "missing: make soak"
fi
