#!/bin/bash
# Without /proc and /sys, and in a root directory with nothing but the program and its libraries.
# shellcheck source=tests/shell.sh
. "$(dirname "$0")/shell.sh"
unshare -m true 2>/dev/null || skip "no mount namespaces here (not root)"

expect "without /proc and /sys" ok unshare -m bash -c '
	mount --make-rprivate / && umount -l /sys && umount -l /proc || exit 9
	[ ! -e /proc/self ] && [ ! -e /sys/devices ] || exit 9
	exec env LD_PRELOAD="$1" "$2" "$3"' sh "$library" "$work" "$name"

root=$dir/root
mkdir -p "$root/lib64"
for file in $(ldd "$work" "$library" | grep -oE '/[^ ]+' | grep -vE ':$' | sort -u) "$library"; do
	mkdir -p "$root/$(dirname "$file")"
	cp -L "$file" "$root/$file"
done
cp "$work" "$root/program"
expect "in an empty root" ok chroot "$root" /lib64/ld-linux-x86-64.so.2 --preload "$library" /program "$name"
