// A test program of build/tests that reads and writes lines.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
export const buildDir = process.env.OPS_BUILD_DIR ?? join(root, 'build');

export class Tool {
	constructor(name, args = [], options = {}) {
		this.lines = [];
		this.waiting = [];
		this.errors = '';
		this.child = spawn(join(buildDir, 'tests', name), args, { stdio: ['pipe', 'pipe', 'pipe'], ...options });
		this.child.stdin.on('error', () => {});
		let rest = '';
		this.child.stdout.setEncoding('utf8');
		this.child.stdout.on('data', (text) => {
			const parts = (rest + text).split('\n');
			rest = parts.pop();
			for (const line of parts) this.onLine(line);
		});
		this.child.stderr.setEncoding('utf8');
		this.child.stderr.on('data', (text) => {
			this.errors += text;
		});
		this.exited = new Promise((resolve) => {
			this.child.once('close', (code, signal) => {
				this.exit = { code, signal };
				for (const wait of this.waiting.splice(0)) wait.reject(new Error(`${name} ended (${code ?? signal}) while waiting for ${wait.what}\n${this.errors}`));
				resolve(this.exit);
			});
		});
	}

	onLine(line) {
		this.lines.push(line);
		for (const wait of [...this.waiting]) {
			const match = wait.test(line);
			if (!match) continue;
			this.waiting.splice(this.waiting.indexOf(wait), 1);
			wait.resolve(match === true ? line : match);
		}
	}

	send(line) {
		this.child.stdin.write(`${line}\n`);
	}

	// The first line from now on that matches.
	next(pattern) {
		const test = (line) => line.match(pattern);
		if (this.exit) return Promise.reject(new Error(`it has ended already\n${this.errors}`));
		return new Promise((resolve, reject) => this.waiting.push({ what: pattern, test, resolve, reject }));
	}

	// The first line that matches, also among those that came before.
	seen(pattern) {
		for (const line of this.lines) {
			const match = line.match(pattern);
			if (match) return Promise.resolve(match);
		}
		return this.next(pattern);
	}

	kill(signal = 'SIGKILL') {
		this.child.kill(signal);
		return this.exited;
	}
}
