#!/bin/bash
# Installs what the benchmarks need and this machine lacks: the peers, python3,
# gnuplot, valgrind, strace and xz. Without root it says what to install and fails.
set -eu -o pipefail

libs=/usr/lib/x86_64-linux-gnu
missing=()

need_file() {
	[[ -e $1 ]] || missing+=("$2")
}

need_command() {
	command -v "$1" >/dev/null || missing+=("$2")
}

need_file "$libs/libmimalloc.so.2" libmimalloc2.0
need_file "$libs/libjemalloc.so.2" libjemalloc2
need_file "$libs/libtcmalloc_minimal.so.4" libtcmalloc-minimal4
need_file "$libs/libtbbmalloc_proxy.so.2" libtbbmalloc2
need_command python3 python3
need_command gnuplot gnuplot-nox
need_command valgrind valgrind
need_command strace strace
need_command xz xz-utils

[[ ${#missing[@]} -eq 0 ]] && exit 0
echo "bench: installing ${missing[*]}"
install=(apt-get install -y --no-install-recommends "${missing[@]}")
if [[ $(id -u) -eq 0 ]]; then
	DEBIAN_FRONTEND=noninteractive "${install[@]}" >/dev/null
elif command -v sudo >/dev/null; then
	sudo DEBIAN_FRONTEND=noninteractive "${install[@]}" >/dev/null
else
	echo "bench: not root and no sudo; please run: ${install[*]}" >&2
	exit 1
fi
