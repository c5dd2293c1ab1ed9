#!/bin/bash
# symbols.sh: compares what the library exports with the checked-in lists beside this script.
#
#   tests/symbols.sh LIBRARY.so ARCHIVE.a [--write]
#
# The shared library: every dynamic symbol. The archive: the global symbols that a program can see,
# which may be hak_* only. --write makes the lists anew from what there is.
set -eu -o pipefail
export LC_ALL=C
[ $# -ge 2 ] || {
	echo "usage: tests/symbols.sh LIBRARY.so ARCHIVE.a [--write]" >&2
	exit 2
}
for file in "$1" "$2"; do
	[ -f "$file" ] || {
		echo "symbols.sh: there is no $file" >&2
		exit 2
	}
done
here=$(dirname "$0")

of_library() {
	nm -D --defined-only "$1" | awk '{ print $3 }' | sort -u
}

# A static linker sees hidden symbols too: whatever is global here can clash with a program's names.
of_archive() {
	nm -g --defined-only "$1" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u
}

failed=0
compare() { # compare NAME LIST SYMBOLS
	if diff -u --label "$2 (checked in)" --label "$1 (built)" "$2" - <<<"$3"; then
		echo "symbols: $1 exports the $(wc -l <"$2") names of $2"
	else
		echo "symbols: $1 differs from $2"
		failed=1
	fi
}

library=$(of_library "$1")
archive=$(of_archive "$2")
if [ "${3-}" = --write ]; then
	echo "$library" >"$here/symbols.so.txt"
	echo "$archive" >"$here/symbols.a.txt"
fi
compare "$1" "$here/symbols.so.txt" "$library"
compare "$2" "$here/symbols.a.txt" "$archive"
if strangers=$(grep -v '^hak_' <<<"$archive"); then
	echo "symbols: $2 has global names without hak_: $(tr '\n' ' ' <<<"$strangers")"
	failed=1
fi
exit $failed
