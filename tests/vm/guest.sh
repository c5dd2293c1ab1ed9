# shellcheck shell=dash disable=SC2034
# tests/vm/guest.sh: what the scripts that run in a guest share. Sourced at their top by busybox sh.

library=/guest/libhakmem.so
checks=0

say() {
	echo "guest: $*"
}

fail() {
	say "FAILED: $*"
	dmesg | tail -n 5
	exit 1
}

passed() {
	checks=$((checks + 1))
	say "$*"
}

# hak COMMAND...: under the library. plain COMMAND...: under the C library. Killed when it hangs.
hak() {
	timeout -s KILL 300 env LD_PRELOAD=$library "$@"
}
plain() {
	timeout -s KILL 300 "$@"
}

# expect WHAT WANTED COMMAND...: its output must be WANTED, with nothing on standard error and status 0.
expect() {
	local what="$1" wanted="$2" said status=0
	shift 2
	said=$("$@" 2>/tmp/stderr) || status=$?
	[ $status -eq 0 ] || fail "$what: status $status: $said $(head -c 1000 /tmp/stderr)"
	[ ! -s /tmp/stderr ] || fail "$what: says on standard error: $(head -c 1000 /tmp/stderr)"
	[ "$said" = "$wanted" ] || fail "$what: said '$said', not '$wanted'"
	passed "$what: right"
}

# number WHAT COMMAND...: sets `value` to the whole number that it prints.
number() {
	local what="$1" status=0
	shift
	value=$("$@" 2>/tmp/stderr) || status=$?
	[ $status -eq 0 ] || fail "$what: status $status: $value $(head -c 1000 /tmp/stderr)"
	case $value in
	'' | *[!0-9]*) fail "$what: printed '$value'" ;;
	esac
}

# at_most WHAT VALUE LIMIT, at_least WHAT VALUE LIMIT
at_most() {
	[ "$2" -le "$3" ] || fail "$1: $2, more than $3"
	passed "$1: $2 (at most $3)"
}
at_least() {
	[ "$2" -ge "$3" ] || fail "$1: $2, less than $3"
	passed "$1: $2 (at least $3)"
}

finish() {
	say "$checks checks passed"
	exit 0
}
