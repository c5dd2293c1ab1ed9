#!/bin/bash
# all-nginx.sh: nginx with two workers under the library: static files, compression, server-side
# includes and proxying to itself, loaded by wrk, through a reload, with every body checked.
# timeout: 180
# shellcheck source=tests/programs/lib.sh
source "$(dirname "$0")/lib.sh"

[ -x /usr/bin/python3 ] || skip "no /usr/bin/python3"
fetch_package nginx nginx
nginx=$program
fetch_package wrk wrk
wrk=$program
free_port

mkdir -p "$work/www" "$work/logs"
chmod 755 "$work"
seq 1 200000 >"$work/numbers"
for size in 100 3000 60000 900000; do
	head -c "$size" "$work/numbers" >"$work/www/$size.txt"
done
echo 'before <!--#include virtual="/3000.txt" --> after' >"$work/www/page.shtml"
user=
[ "$(id -u)" -ne 0 ] || user="user root;"
cat >"$work/nginx.conf" <<CONF
$user
daemon off;
worker_processes 2;
pid $work/nginx.pid;
error_log stderr warn;
events { worker_connections 400; }
http {
	access_log $work/logs/access combined buffer=16k;
	types { text/html html shtml; text/plain txt; }
	client_body_temp_path $work/body;
	proxy_temp_path $work/proxy;
	fastcgi_temp_path $work/fastcgi;
	uwsgi_temp_path $work/uwsgi;
	scgi_temp_path $work/scgi;
	proxy_cache_path $work/cache keys_zone=pages:1m;
	upstream self { server 127.0.0.1:$port; keepalive 8; }
	server {
		listen 127.0.0.1:$port;
		root $work/www;
		ssi on;
		location /gzip/ { alias $work/www/; gzip on; gzip_types text/plain; gzip_comp_level 5; }
		location /proxy/ { proxy_pass http://self/; proxy_http_version 1.1; proxy_set_header Connection ""; }
		location /cache/ { proxy_pass http://self/gzip/; proxy_cache pages; proxy_cache_valid 1s; }
		location /long/ { rewrite "^/long/(\w+)/(.*)\$" /\$2 last; }
	}
}
CONF

cat >"$work/verify.py" <<'PYTHON'
import gzip, sys, urllib.request
port, www = sys.argv[1:]
checked = 0
def body(path, headers={}):
    request = urllib.request.Request("http://127.0.0.1:%s%s" % (port, path), headers=headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        data = answer.read()
        return gzip.decompress(data) if answer.headers.get("Content-Encoding") == "gzip" else data
for size in (100, 3000, 60000, 900000):
    want = open("%s/%d.txt" % (www, size), "rb").read()
    for place in ("", "/gzip", "/proxy", "/proxy/gzip", "/cache", "/long/" + "x" * 500):
        for headers in ({}, {"Accept-Encoding": "gzip"}, {"X-Long": "y" * 3000}):
            assert body("%s/%d.txt" % (place, size), headers) == want, (place, size)
            checked += 1
    part = body("/%d.txt" % size, {"Range": "bytes=10-59"})
    assert part == want[10:60]
want = b"before " + open(www + "/3000.txt", "rb").read() + b" after\n"
assert body("/page.shtml") == want and body("/proxy/page.shtml") == want
print(checked)
PYTHON

load() { # load PATH: for some seconds, and no answer may be anything but right
	plain "$wrk" -t 2 -c 40 -d 3s --timeout 10s "http://127.0.0.1:$port$1" \
		>"$work/wrk.out" 2>"$work/wrk.err" || fail "wrk failed"
	! grep -E 'Non-2xx|Socket errors' "$work/wrk.out" || fail "errors under load of $1"
	requests=$((requests + $(sed -n 's/^ *\([0-9]*\) requests in.*/\1/p' "$work/wrk.out")))
}

requests=0
start_server nginx "$nginx" -c "$work/nginx.conf" -p "$work" -e stderr
wait_port "$port" "$server_pid"
assert_preloaded "$server_pid"
workers=0
# Besides the workers there are the cache's manager and loader.
read -r -a children <"/proc/$server_pid/task/$server_pid/children" || true
for child in "${children[@]}"; do
	grep -q 'worker process' "/proc/$child/cmdline" || continue
	grep -qF "$HAK_LIB" "/proc/$child/maps" || fail "worker $child has not mapped the library"
	workers=$((workers + 1))
done
assert_same "workers" 2 "$workers"

checked=$(/usr/bin/python3 "$work/verify.py" "$port" "$work/www")
load /3000.txt
load /proxy/gzip/60000.txt
load /page.shtml
plain "$wrk" -t 1 -c 10 -d 2s "http://127.0.0.1:$port/gzip/3000.txt" >"$work/wrk.out" &
load_pid=$!
sleep 0.5
kill -HUP "$server_pid"
wait "$load_pid" || fail "the load beside the reload failed"
assert_same "bodies after the reload" "$checked" \
	"$(/usr/bin/python3 "$work/verify.py" "$port" "$work/www")"
stop_server "$server_pid" QUIT
assert_silent "$work/nginx.err"
! grep -E 'exited on signal|\[(alert|emerg|crit)\]' "$work/nginx.err" || fail "nginx reports trouble"
say "passed: $requests requests, $checked bodies checked twice"
