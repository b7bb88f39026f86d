// The committed vectors and corpora are what their generator writes, so that they are only appended to.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

test('the golden vectors are what make.mjs writes', () => {
	const script = fileURLToPath(new URL('../vectors/make.mjs', import.meta.url));
	const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
	assert.equal(status, 0, stderr);
});
