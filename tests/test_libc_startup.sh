#!/bin/bash
# What the preload adds to /bin/true: resident memory (320 KiB are aimed at, page tables included in what
# is shown; the builds with checks have more code, and so has clang's, by 20 KiB) and system calls. Counts,
# not times: they do not depend on the machine's load, but on what of the file the page cache has, by 70 KiB:
# hence 32 KiB of tolerance.
# shellcheck source=tests/shell.sh
. "$(dirname "$0")/shell.sh"
calls_most=25
resident_most=352
[[ $HAK_TEST_BUILD = release && $HAK_TEST_FILES != *clang* ]] || resident_most=384

resident() { # resident PRELOAD: the least of seven runs, "resident KIB tables KIB"
	for _ in {1..7}; do
		LD_PRELOAD="$1 $files/lib/lib_resident.so" /bin/true 2>&1
	done | sort -k2n | head -n 1
}
read -r _ none _ none_tables <<<"$(resident '')"
read -r _ ours _ ours_tables <<<"$(resident "$library")"
[ "${none:-0}" -gt 100 ] || fail "resident memory of /bin/true reads as '$none'"
echo "resident: $none KiB without, $ours KiB with the library: $((ours - none)) more, at most $resident_most" \
	"(page tables: $none_tables and $ours_tables KiB)"
[ $((ours - none)) -le $resident_most ] || fail "too much is resident at start-up"

if command -v strace >/dev/null; then
	strace -f -o "$dir/none" /bin/true 2>/dev/null || skip "strace may not trace here"
	strace -f -o "$dir/ours" -E LD_PRELOAD="$library" /bin/true || fail "strace"
	calls=$(($(wc -l <"$dir/ours") - $(wc -l <"$dir/none")))
	echo "system calls: $calls more, at most $calls_most"
	if [ $calls -gt $calls_most ]; then
		sed -E 's/^[0-9]+ +//; s/\(.*//' "$dir/ours" | sort | uniq -c | sort -rn | head -20
		fail "too many system calls at start-up"
	fi
	! grep -qE 'hwloc|libnuma|liburcu|hakmem-topology' "$dir/ours" ||
		fail "start-up looks for what only machines with several nodes need"
	! grep -qE 'clone|futex\(.*WAIT,|/sys/devices/system/cpu' "$dir/ours" ||
		fail "start-up makes a thread, waits, or reads all CPUs: $(grep -E 'clone|futex|cpu' "$dir/ours")"
fi
