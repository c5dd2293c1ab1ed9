# shellcheck shell=bash disable=SC2034
# shell.sh: what the test_libc_*.sh scripts share. The runner sets HAK_TEST_PRELOAD (the library)
# and HAK_TEST_FILES (where lib/ and prog/ were built).
set -u -o pipefail
export LC_ALL=C
library=${HAK_TEST_PRELOAD:?names the library to preload}
files=$(realpath "${HAK_TEST_FILES:?names the directory of lib/ and prog/}")
work=$files/prog/prog_work
name=$(basename "$library")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
	echo "$*"
	exit 1
}
skip() {
	echo "$*"
	exit 77
}
# expect WHAT WANTED COMMAND...: stdout must be WANTED, stderr empty and the exit status 0.
expect() {
	local what=$1 wanted=$2 said status=0
	shift 2
	said=$("$@" 2>"$dir/stderr") || status=$?
	[ $status -eq 0 ] || fail "$what: exit status $status: $(head -c 2000 "$dir/stderr")"
	[ ! -s "$dir/stderr" ] || fail "$what: stderr has: $(head -c 2000 "$dir/stderr")"
	[ "$said" = "$wanted" ] || fail "$what: said '$said', not '$wanted'"
}
