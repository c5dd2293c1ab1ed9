#!/bin/bash
# lint.sh: proves what the layout of src/ promises, then has cppcheck look at the code.
#
#   tests/lint.sh ROOT [layers|all]
#
# Rooms from the bottom up: base, policy, numa, segments, tls, api. A file may include headers of
# its own room and of rooms below. Each outside library has one user. "layers" leaves cppcheck out.
set -u
export LC_ALL=C
root=${1:?usage: tests/lint.sh ROOT [layers|all]}
what=${2:-all}
case $what in
layers | all) ;;
*)
	echo "lint.sh: '$what' is neither layers nor all" >&2
	exit 2 ;;
esac
cd "$root" || exit 2
[ -d src ] || {
	echo "lint.sh: $root has no src/" >&2
	exit 2
}

rooms=(base policy numa segments tls api)
findings=0
finding() {
	echo "$1"
	findings=$((findings + 1))
}

rank() { # rank ROOM: its place in the order, or nothing
	local i
	for i in "${!rooms[@]}"; do
		[ "${rooms[i]}" != "$1" ] || echo "$i"
	done
}

mapfile -t files < <(find src -name '*.[ch]' -o -name '*.def' | sort)
[ ${#files[@]} -gt 0 ] || finding "src/: no source files"
mapfile -t others < <(find stress fuzz tests bench include -name '*.[ch]' -o -name '*.cc' 2>/dev/null | sort)

# Includes point down, and quoted ones name a room.
for file in "${files[@]}"; do
	room=${file#src/}
	room=${room%%/*}
	own=$(rank "$room")
	if [ -z "$own" ]; then
		finding "$file: lies in none of the rooms: ${rooms[*]}"
		continue
	fi
	while IFS=: read -r line text; do
		name=${text#*\"}
		name=${name%%\"*}
		to=$(rank "${name%%/*}")
		if [ "$name" = hakmem.h ]; then
			[ "$room" = api ] || finding "$file:$line: hakmem.h is for src/api"
		elif [ -z "$to" ] || [ "$name" = "${name#*/}" ]; then
			finding "$file:$line: \"$name\" is not written as room/file"
		elif [ "$to" -gt "$own" ]; then
			finding "$file:$line: $room includes \"$name\", which is above it"
		elif [ ! -f "src/$name" ]; then
			finding "$file:$line: src/$name does not exist"
		fi
	done < <(grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$file")
done

# only PATTERN ALLOWED WHY: the header may be included by files that match ALLOWED alone.
only() {
	local hit
	while IFS= read -r hit; do
		[[ ${hit%%:*} =~ $2 ]] || finding "$hit: $3"
	done < <(grep -HnE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]$1" "${files[@]}")
}
only '(hwloc|numa\.h|numaif\.h)' '^src/numa/' 'only src/numa uses hwloc and libnuma'
only 'urcu' '^src/base/rcu\.' 'only src/base/rcu uses liburcu'
only 'valgrind' '^src/base/checkers\.h$' 'only src/base/checkers.h talks to memcheck'
only 'sys/mman\.h' '^src/base/os\.c$' 'only src/base/os.c calls mmap and its kin'

# never PATTERN WHY FILE...: comments are not looked at.
never() {
	local pattern=$1 why=$2 hit
	shift 2
	[ $# -gt 0 ] || return
	while IFS= read -r hit; do
		finding "$hit: $why"
	done < <(grep -HnE "$pattern" "$@" | grep -vE '^[^:]*:[0-9]+:[[:space:]]*(/?\*|//)')
}
mapfile -t stress < <(find stress -name '*.[ch]' 2>/dev/null)
never '\b(atomic_thread_fence|atomic_signal_fence|__sync_synchronize|__atomic_thread_fence|_mm_mfence)\b' \
	'no fences: ThreadSanitizer does not see them' "${files[@]}" "${stress[@]}"
never '\bpthread_(mutex|rwlock|spin|cond|once)[a-z_]*\b|\b(mtx_lock|call_once|sem_wait)\b' \
	'no locks in the library' "${files[@]}"
never 'FUTEX_WAIT\b' 'no waiting in the library' "${files[@]}"

# Short enough to be read.
for file in "${files[@]}" "${others[@]}"; do
	lines=$(wc -l <"$file")
	[ "$lines" -le 500 ] || finding "$file: $lines lines, at most 500"
	head -n 1 "$file" | grep -qE '^/\*|^//' || finding "$file:1: does not open with a comment"
done

# Left out, because cppcheck 2.10 misreads our code: legacyUninitvar (a pointer to a function that
# is initialised by a cast) and nullPointerRedundantCheck (a condition of a loop that its body makes
# untrue). gcc and clang warn of both kinds where they are real, and warnings are errors.
if [ "$what" = all ]; then
	if ! command -v cppcheck >/dev/null; then
		finding "cppcheck is not installed (apt-get install cppcheck)"
	elif ! report=$(cppcheck -q -j 2 --std=c11 --language=c --enable=warning,portability,performance \
		--inline-suppr --error-exitcode=1 --suppress=missingIncludeSystem --suppress=legacyUninitvar \
		--suppress=nullPointerRedundantCheck \
		--template='{file}:{line}: {severity}: {message} [{id}]' \
		-Iinclude -Isrc -DHAK_DEBUG=1 -D__x86_64__=1 -D__linux__=1 -D__GNUC__=12 src 2>&1); then
		printf '%s\n' "$report"
		finding "cppcheck: $(printf '%s\n' "$report" | grep -c '\[[a-zA-Z]*\]$') findings"
	fi
fi

if [ $findings -gt 0 ]; then
	echo "lint: $findings findings"
	exit 1
fi
echo "lint: ${#files[@]} files of src/ are in order"
