# shellcheck shell=bash disable=SC2034
# tests/packages.sh: the Debian packages that ./run and ./check need, and how they get onto the
# machine. Sourced by both; nothing here runs by itself.
#
# An entry is WHAT:PACKAGE, where WHAT is a command or a file whose absence asks for PACKAGE.

# What the build needs; hwloc and libnuma for the library that machines with several nodes load,
# and liburcu, loaded by programs with threads.
packages_build=(
	gcc:gcc make:make /usr/include/stdio.h:libc6-dev
	/usr/include/hwloc.h:libhwloc-dev /usr/include/numa.h:libnuma-dev
	/usr/lib/x86_64-linux-gnu/liburcu-bp.so.8:liburcu8
)

# What the tests need besides. Servers are no part of this: their tests unpack them under build/.
packages_check=(
	g++:g++
	clang:clang
	/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.tsan-x86_64.a:libclang-rt-14-dev
	/usr/include/cmocka.h:libcmocka-dev
	valgrind:valgrind
	cppcheck:cppcheck
	strace:strace
	/usr/bin/python3:python3
)

# missing_packages ENTRY...: the packages whose WHAT is not there, one a line.
missing_packages() {
	local entry what
	for entry in "$@"; do
		what=${entry%:*}
		if [[ $what == /* ]]; then
			[ -e "$what" ] || echo "${entry##*:}"
		else
			command -v "$what" >/dev/null || echo "${entry##*:}"
		fi
	done
}

# install_packages ENTRY...: installs what is missing, quietly. Nothing to do is no error.
install_packages() {
	local as_root=() missing log
	mapfile -t missing < <(missing_packages "$@")
	[ ${#missing[@]} -gt 0 ] || return 0
	if ! command -v apt-get >/dev/null; then
		echo "${0##*/}: missing: ${missing[*]}; this is no Debian, please install them" >&2
		return 1
	fi
	if [ "$(id -u)" -ne 0 ]; then
		if ! command -v sudo >/dev/null; then
			echo "${0##*/}: missing: ${missing[*]}; run this as root once," \
				"or: apt-get install ${missing[*]}" >&2
			return 1
		fi
		as_root=(sudo)
	fi
	echo "Installing ${missing[*]} ..." >&2
	log=$(mktemp)
	# A bare machine has no package lists yet, an old one outdated ones.
	if ! apt_install "${missing[@]}" >"$log" 2>&1; then
		if ! { "${as_root[@]}" apt-get update && apt_install "${missing[@]}"; } >"$log" 2>&1
		then
			tail -n 20 "$log" >&2
			echo "${0##*/}: could not install: ${missing[*]}" >&2
			rm -f "$log"
			return 1
		fi
	fi
	rm -f "$log"
}

apt_install() { # uses as_root of the caller
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y --no-install-recommends "$@" </dev/null
}
