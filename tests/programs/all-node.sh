#!/bin/bash
# all-node.sh: node under the library: buffers, compression and hashing in its thread pool, worker
# threads, children and a loopback server, each checked, and the same output as without.
# timeout: 240
# shellcheck source=tests/programs/lib.sh
source "$(dirname "$0")/lib.sh"

install_program node nodejs
node=$program

cat >"$work/script.js" <<'JS'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto'), zlib = require('zlib'), http = require('http');
const { execFile } = require('child_process'), { promisify } = require('util');
const assert = require('assert');
const sha = (data) => crypto.createHash('sha256').update(data).digest('hex');
const bytes = (n, seed) => Buffer.alloc(n, sha(String(seed)));

if (!isMainThread) {
	const kept = [];
	for (let i = 0; i < 400; i++) {
		kept[i % 40] = bytes(100 + (i * 7919) % 60000, i + workerData);
		parentPort.postMessage(kept[i % 40]);
	}
	return;
}

const threads = () => Promise.all([1, 2, 3, 4].map((id) => new Promise((done, failed) => {
	const sums = [], worker = new Worker(__filename, { workerData: id });
	worker.on('message', (data) => sums.push(sha(data)));
	worker.on('error', failed);
	worker.on('exit', () => done(sha(sums.join())));
})));
const packed = () => Promise.all([...Array(60).keys()].map(async (i) => {
	const data = bytes(1000 + i * 30000, i), deflate = promisify(zlib.deflate);
	const back = await promisify(zlib.inflate)(await deflate(data));
	assert(back.equals(data));
	return sha(await promisify(crypto.scrypt)(String(i), 'salt', 64, { N: 1024 }));
}));
const served = async () => {
	const server = http.createServer((request, response) => {
		const parts = [];
		request.on('data', (part) => parts.push(part));
		request.on('end', () => response.end(sha(Buffer.concat(parts))));
	});
	await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
	const ask = (i) => new Promise((done, failed) => {
		const body = bytes(1 + (i * 65537) % 500000, i);
		const request = http.request({ port: server.address().port, host: '127.0.0.1', method: 'POST' },
			(response) => {
				let text = '';
				response.on('data', (part) => text += part);
				response.on('end', () => { assert.equal(text, sha(body)); done(text); });
			});
		request.on('error', failed);
		request.end(body);
	});
	const all = [];
	for (let round = 0; round < 10; round++)
		all.push(...await Promise.all([...Array(20).keys()].map((i) => ask(round * 20 + i))));
	server.closeAllConnections ? server.closeAllConnections() : 0;
	await new Promise((closed) => server.close(closed));
	return sha(all.join());
};
const children = () => Promise.all([1, 2, 3].map(async (i) =>
	(await promisify(execFile)(process.execPath, ['-e', `console.log('c'.repeat(${i * 1000}).length)`])).stdout));

(async () => {
	const map = new Map();
	for (let i = 0; i < 300000; i++) map.set('k' + i, { i, text: 'v'.repeat(i % 50) });
	for (let i = 0; i < 300000; i += 3) map.delete('k' + i);
	console.log('map', map.size, sha(JSON.stringify([...map].slice(0, 20000))));
	console.log('threads', await threads());
	console.log('packed', sha((await packed()).join()));
	console.log('served', await served());
	console.log('children', (await children()).join('').trim());
	process.exitCode = 4;
})();
JS

for form in without with; do
	run=plain
	[ $form = without ] || run=preloaded
	status=0
	$run "$node" "$work/script.js" >"$work/$form.out" 2>"$work/$form.err" || status=$?
	assert_same "exit status $form" 4 "$status"
done
diff "$work/without.out" "$work/with.out" || fail "the outputs differ"
assert_silent "$work/with.err"
for file in "$work"/bindings.*; do
	assert_bound "$file"
done
say "passed: $(plain "$node" --version)"
