#!/bin/bash
# Libraries loaded late: many with thread-local storage, and the allocator itself by a program that
# was started without it, also when little static thread-local storage is left.
# shellcheck source=tests/shell.sh
. "$(dirname "$0")/shell.sh"
program=$files/prog/prog_dlopen
for i in {1..100}; do
	cp "$files/lib/lib_tls.so" "$dir/$i.so"
done
expect "100 libraries with thread-local storage" ok env LD_PRELOAD="$library" "$program" tls "$dir" 100
case $name in
libhakmem.so)
	expect "the allocator loaded late" ok "$program" library "$library"
	expect "loaded late after a library that took static storage" ok \
		"$program" library "$library" "$files/lib/lib_tls_static.so"
	expect "loaded late and preloaded" ok env LD_PRELOAD="$library" "$program" library "$library" ;;
esac
