// Commands that the integration tests of the agent run: what they do is written to scripts beside
// the configuration, since a command is an executable and its arguments.
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SCRIPTS = {
	// both streams, and an exit code
	speak: '#!/bin/sh\necho out\necho err >&2\nexit "$1"\n',
	// $1 lines of 100 bytes each
	flood: '#!/bin/sh\nyes "$(printf %099d 7)" | head -n "$1"\n',
	// a line each 20 ms, $1 of them; the last one waits while hold() holds it
	ticks: '#!/bin/sh\ni=0\nwhile [ $i -lt "$1" ]; do echo "tick $i"; i=$((i+1)); sleep 0.02; [ $((i+1)) -ne "$1" ] || while [ -e "$0.hold" ]; do sleep 0.02; done; done\n',
	// stays until it is told to go, and has a child that stays as well
	stay: '#!/bin/sh\nsleep 600 &\necho started\nwait\n',
};

export function makeScripts() {
	const dir = mkdtempSync(join(tmpdir(), 'ops-scripts-'));
	chmodSync(dir, 0o755);
	mkdirSync(join(dir, 'bin'));
	for (const [name, text] of Object.entries(SCRIPTS)) {
		writeFileSync(join(dir, 'bin', name), text);
		chmodSync(join(dir, 'bin', name), 0o755);
	}
	process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
	return join(dir, 'bin');
}

// `ticks` does not end before what this returns is called, so that what is to happen meanwhile has its time.
export function hold(bin) {
	const path = join(bin, 'ticks.hold');
	writeFileSync(path, '');
	return () => rmSync(path, { force: true });
}

export function commandsYml(bin) {
	return `version: 1
defaults: { timeout: 10m, kill_after: 1s }
commands:
  speak:
    title: Speak
    exec: [${bin}/speak, "\${inputs.code}"]
    inputs:
      code: { type: int, min: 0, max: 255, default: 0 }
  flood:
    title: Flood
    exec: [${bin}/flood, "\${inputs.lines}"]
    inputs:
      lines: { type: int, min: 1, max: 100000000, required: true }
  ticks:
    title: Ticks
    exec: [${bin}/ticks, "\${inputs.n}"]
    inputs:
      n: { type: int, min: 1, max: 100000, required: true }
  stay:
    title: Stay
    exec: [${bin}/stay]
`;
}
