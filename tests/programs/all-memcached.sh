#!/bin/bash
# all-memcached.sh: memcached with four threads under the library, loaded by five processes that
# check every value and make it evict, and by idle connections that come and go.
# timeout: 180
# shellcheck source=tests/programs/lib.sh
source "$(dirname "$0")/lib.sh"

[ -x /usr/bin/python3 ] || skip "no /usr/bin/python3"
fetch_package memcached memcached
memcached=$program
free_port
user=()
[ "$(id -u)" -ne 0 ] || user=(-u root)

start_server memcached "$memcached" -l 127.0.0.1 -p "$port" -t 4 -m 64 -I 4m -c 600 "${user[@]}"
wait_port "$port" "$server_pid"
assert_preloaded "$server_pid"

# The answer to a command of one line.
ask() {
	local line
	exec 4<>"/dev/tcp/127.0.0.1/$port"
	printf '%s\r\nquit\r\n' "$1" >&4
	while read -r -t 10 line <&4; do
		echo "${line%$'\r'}"
	done
	exec 4>&-
}

answers=$(/usr/bin/python3 "$top/tests/programs/memcached_load.py" "$port" 10 2>"$work/load.err") ||
	fail "a wrong answer: $(tail -n 1 "$work/load.err")"
read -r checked stored refused <<<"$answers"
[ "$checked" -gt 1000 ] || fail "only $checked values were checked"
[ $((refused * 20)) -le "$stored" ] || fail "$refused values refused, only $stored stored"
for _ in {1..300}; do
	(exec 3<>"/dev/tcp/127.0.0.1/$port")
done
evictions=$(ask stats | sed -n 's/^STAT evictions //p')
assert_same "threads" 4 "$(ask stats | sed -n 's/^STAT threads //p')"
assert_same "flush_all" OK "$(ask flush_all)"
stop_server "$server_pid" TERM
assert_silent "$work/memcached.err"
say "passed: $checked values checked, $stored stored, $refused refused, $evictions evicted"
