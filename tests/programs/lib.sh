# shellcheck shell=bash disable=SC2034,SC2154
# tests/programs/lib.sh: what the tests with real programs share. Sourced at their top.
#
# A test runs its program under LD_PRELOAD=$HAK_LIB (build/libhakmem.so unless set), proves that
# the program's malloc is really the library's, checks the program's output, and that the library
# reported nothing. Servers come from Debian packages unpacked under build/, listen on 127.0.0.1,
# and are stopped by their process id. Exit status: 0 pass, 77 skip, 1 fail.

set -eEu -o pipefail
export LC_ALL=C
# The tests say themselves what runs under the library.
unset LD_PRELOAD LD_LIBRARY_PATH "${!HAKMEM_@}"

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
test_name=$(basename "$0" .sh)
programs=$top/build/programs
root=$programs/root
mkdir -p "$root" "$programs/archives"
work=$(mktemp -d "$programs/$test_name.XXXXXX")
server_pids=()

# family PID: it and all it started that are still below it.
family() {
	local child children=()
	[ -d "/proc/$1" ] || return 0
	echo "$1"
	read -r -a children <"/proc/$1/task/$1/children" || true
	for child in "${children[@]}"; do
		family "$child"
	done
} 2>/dev/null

# What a failed test leaves running is asked to end, then killed.
cleanup() {
	local status=$? pid members tries
	trap - EXIT ERR
	for pid in "${server_pids[@]}"; do
		members=$(family "$pid")
		kill -TERM "$pid" 2>/dev/null || continue
		for ((tries = 0; tries < 30; tries++)); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
		# shellcheck disable=SC2086
		kill -KILL $members 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$work"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
trap 'echo "$test_name: line $LINENO: $BASH_COMMAND: status $?" >&2' ERR

say() {
	echo "$test_name: $*"
}

fail() {
	local file
	say "FAILED: $*"
	for file in "$work"/*.out "$work"/*.err; do
		[ -s "$file" ] || continue
		echo "--- last lines of ${file##*/}"
		tail -n 15 "$file"
	done
	exit 1
}

skip() {
	say "skipped: $*"
	exit 77
}

HAK_LIB=$(realpath -e "${HAK_LIB:-$top/build/libhakmem.so}" 2>/dev/null) ||
	fail "no library ${HAK_LIB:-build/libhakmem.so}: run make first"

# ---- Programs ----------------------------------------------------------------------------------

library_path=$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu
postgres_bin=usr/lib/postgresql/15/bin
search_path=$root/usr/sbin:$root/usr/bin:$root/$postgres_bin:/usr/sbin:/usr/bin:/$postgres_bin:/sbin:/bin

# unpack PACKAGE...: exactly these, under $root, without installing anything. False when they
# cannot be had.
unpack() {
	local package file
	(
		cd "$programs/archives"
		flock 9
		for package in "$@"; do
			[ ! -e "$package.unpacked" ] || continue
			rm -f "${package}"_*.deb
			apt-get -o APT::Sandbox::User=root -q download "$package" || exit 1
			for file in "${package}"_*.deb; do
				dpkg -x "$file" "$root"
				rm -f "$file"
			done
			touch "$package.unpacked"
		done
	) 9>"$programs/archives/lock" >"$work/apt.log" 2>&1
}

# What PACKAGE would bring onto this machine. The C library stays the machine's: its loader and
# its libraries must be of one version.
would_install() {
	local lines
	lines=$(apt-get -s --no-install-recommends install "$1" 2>"$work/apt.log") || return 1
	{
		echo "$1"
		sed -n 's/^Inst \([^ ]*\) .*/\1/p' <<<"$lines"
	} | sort -u | grep -Ev '^(libc6|libc-bin|libc-l10n|locales|init-system-helpers|perl-base)$'
}

# fetch_package PROGRAM PACKAGE [ALSO...]: sets `program` to PROGRAM's path; where the machine has
# none, PACKAGE and the libraries it needs are unpacked first, and the packages ALSO in any case.
# Skips the test when that is impossible.
fetch_package() {
	local packages
	program=$(PATH=$search_path type -P "$1" || true)
	[ -z "$program" ] || return 0
	if ! packages=$(would_install "$2"); then
		[ "$(id -u)" -eq 0 ] || skip "no package lists to get $2 with (apt-get update)"
		apt-get -q update >"$work/apt.log" 2>&1 || skip "$2 cannot be downloaded"
		packages=$(would_install "$2") || skip "there is no package $2"
	fi
	# shellcheck disable=SC2086
	if ! unpack $packages "${@:3}"; then
		[ "$(id -u)" -ne 0 ] || apt-get -q update >"$work/apt.log" 2>&1 || true
		# shellcheck disable=SC2086
		unpack $packages "${@:3}" || skip "$2 cannot be downloaded: $(tail -n 1 "$work/apt.log")"
	fi
	program=$(PATH=$search_path type -P "$1") || fail "package $2 has no $1"
}

# install_program PROGRAM PACKAGE: as fetch_package, for a package without a service whose program
# works from its own place only: installs it where that needs no password.
install_program() {
	program=$(PATH=/usr/bin:/bin type -P "$1" || true)
	[ -z "$program" ] || return 0
	[ "$(id -u)" -eq 0 ] || skip "no $1 (apt-get install $2)"
	# shellcheck source=tests/packages.sh
	source "$top/tests/packages.sh"
	(
		flock 9
		install_packages "/usr/bin/$1:$2"
	) 9>"$programs/archives/lock" || skip "$2 cannot be installed"
	program=/usr/bin/$1
}

# plain COMMAND...: with the unpacked libraries, without the allocator.
plain() {
	LD_LIBRARY_PATH=$library_path "$@"
}

# Settings of the environment that the preloaded program gets besides.
preload_env=()

# The words before a command that runs it with both. The loader's log says what malloc is bound to.
set_preload_words() {
	preload_words=(env LD_LIBRARY_PATH="$library_path" LD_BIND_NOW=1 LD_DEBUG=bindings
		LD_DEBUG_OUTPUT="$work/bindings" LD_PRELOAD="$HAK_LIB" "${preload_env[@]}")
}

# preloaded COMMAND...: with both.
preloaded() {
	set_preload_words
	"${preload_words[@]}" "$@"
}

# only_preloaded COMMAND...: with both and no loader's log, for commands with many children.
only_preloaded() {
	env LD_LIBRARY_PATH="$library_path" LD_PRELOAD="$HAK_LIB" "${preload_env[@]}" "$@"
}

# ---- Servers -----------------------------------------------------------------------------------

# Sets `port` to one that nobody listens on, below the range of outgoing connections.
free_port() {
	local tries
	for tries in {1..100}; do
		port=$((20000 + RANDOM % 12000))
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || return 0
	done
	fail "no free port in $tries tries"
}

# start_server NAME COMMAND...: in the background under the library; sets server_pid. Output goes
# to $work/NAME.out and NAME.err.
start_server() {
	local name=$1
	shift
	set_preload_words
	"${preload_words[@]}" "$@" >"$work/$name.out" 2>"$work/$name.err" </dev/null &
	server_pid=$!
	server_pids+=("$server_pid")
}

# wait_port PORT PID [SECONDS]: until the server PID listens.
wait_port() {
	local until=$((SECONDS + ${3:-20}))
	until (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do
		kill -0 "$2" 2>/dev/null || fail "the server ended before it listened on port $1"
		[ $SECONDS -lt $until ] || fail "the server does not listen on port $1"
		sleep 0.1
	done
}

# wait_end PID [SECONDS]: waits for a server to end by itself; sets end_status.
wait_end() {
	local until=$((SECONDS + ${2:-30})) left=() pid
	while kill -0 "$1" 2>/dev/null; do
		[ $SECONDS -lt $until ] || fail "process $1 does not end"
		sleep 0.1
	done
	end_status=0
	wait "$1" || end_status=$?
	for pid in "${server_pids[@]}"; do
		[ "$pid" = "$1" ] || left+=("$pid")
	done
	server_pids=("${left[@]}")
}

# stop_server PID [SIGNAL] [STATUS]: asks it to end, and expects STATUS (0).
stop_server() {
	kill "-${2:-TERM}" "$1"
	wait_end "$1"
	[ "$end_status" = "${3:-0}" ] || fail "exit status $end_status on SIG${2:-TERM}, not ${3:-0}"
}

# ---- Proofs ------------------------------------------------------------------------------------

# assert_bound FILE: the loader's log shows malloc and its family bound to the library, by
# everyone and to nothing else, also where a program links another allocator. A program that is
# not position independent and takes the address of, say, free, lends its own jump to free to all
# others: right, where that jump in turn is bound to the library.
assert_bound() {
	local others
	# Looks like: binding file A [0] to B [0]: normal symbol `malloc' [GLIBC_2.2.5]
	others=$(sed -nE "s/.*binding file (.*) \[0\] to (.*) \[0\]: normal symbol \`(malloc|calloc|realloc|free|posix_memalign|aligned_alloc|memalign)'.*/\3 \2 \1/p" "$1" |
		awk -v library="$HAK_LIB" '
		$2 == library { won[$1 " " $3] = 1; if ($1 == "malloc") some = 1; next }
		{ other[$0] = $1 " " $2 }
		END {
			if (!some) print "nothing binds malloc to " library
			for (line in other) if (!(other[line] in won)) print line
		}')
	[ -z "$others" ] || fail "bound past the library: $others"
}

# assert_preloaded PID: the process has the library mapped, and its malloc is the library's.
assert_preloaded() {
	grep -qF "$HAK_LIB" "/proc/$1/maps" || fail "process $1 has not mapped $HAK_LIB"
	[ -s "$work/bindings.$1" ] || fail "the loader of process $1 logged nothing"
	assert_bound "$work/bindings.$1"
}

# assert_silent FILE...: no report of the library in a program's standard error.
assert_silent() {
	local lines
	lines=$(grep -h '^hakmem' "$@" || true)
	[ -z "$lines" ] || fail "the library reported: $lines"
}

# assert_same WHAT EXPECTED GOT
assert_same() {
	[ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"
}
