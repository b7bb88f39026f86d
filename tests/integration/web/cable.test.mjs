// A cable that is really pulled: nothing comes any more, no acknowledgement, no reset.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const cannot = spawnSync('unshare', ['--net', 'ip', 'link', 'set', 'lo', 'up']).status !== 0 && 'a network of its own needs root and iproute2';

test('whoever is behind it is let go: idle, flooded, in the middle of a body or of a stream', { skip: cannot }, () => {
	const script = fileURLToPath(new URL('lib/cable.mjs', import.meta.url));
	const { status, stdout, stderr } = spawnSync('unshare', ['--net', process.execPath, script], { encoding: 'utf8', timeout: 120000 });
	assert.equal(status, 0, stderr);
	const { codes, answer } = JSON.parse(stdout.trim().split('\n').at(-1));
	assert.deepEqual(codes.sort(), [1006, 1006]);
	assert.equal(answer, 200, 'and afterwards others are served');
});
