// ./dev drill [NAME…]: installs as the README says, breaks things, and follows the runbooks word for word.
import { join } from 'node:path';
import { Engine, ROOT, Server, say } from './engine.mjs';
import { blocks, missingLine } from './blocks.mjs';
import { drills, login, ORDER } from './scenes.mjs';

const wanted = process.argv.slice(2).filter((a) => a !== 'all');
// another server and another installation: the agent and systemd alone
if (wanted[0] === 'units') process.exit(await (await import('./units.mjs')).main(wanted.slice(1)));
for (const name of wanted) {
	if (!drills[name]) {
		console.error(`no drill '${name}'; there are: ${ORDER.join(' ')}`);
		process.exit(64);
	}
}

const engine = new Engine();
const server = new Server(engine);
const results = [];

// Executes the blocks of a Markdown file, and compares what they print with what the file says they print.
server.follow = (file, heading, { env = {}, input = '' } = {}) => {
	const steps = blocks(join(ROOT, file), heading);
	if (steps.length === 0) throw new Error(`${file} has no commands below '${heading}'`);
	for (const step of steps) {
		const { status, out } = server.try(step.sh, { env: { OPS_BUILD_NETWORK: 'host', ...env }, input });
		const missing = status === 0 ? missingLine(step.output, out) : undefined;
		if (status === 0 && missing === undefined) continue;
		throw new Error(`${file}:${step.line}: ${missing === undefined ? `exit ${status}` : `'${missing}' was not printed`}\n` +
			`${step.sh}\n---\n${out.split('\n').slice(-40).join('\n')}`);
	}
	return steps.length;
};

async function drill(name) {
	const started = Date.now();
	let failure;
	try {
		if (name !== 'install') login(server); // each begins with a session of its own
		await drills[name](server);
	} catch (error) {
		failure = error;
	}
	const seconds = Math.round((Date.now() - started) / 1000);
	results.push({ name, seconds, failure });
	say(`${failure ? 'not ok' : 'ok'} - ${name} (${seconds} s)`);
	if (failure) say(String(failure.stack ?? failure).replace(/^/gm, '  '));
	return !failure;
}

try {
	await engine.start();
	// OPS_DRILL_REUSE=1: the server that an earlier call with OPS_DRILL_KEEP=1 left, for whoever writes a drill
	const reuse = Boolean(process.env.OPS_DRILL_REUSE);
	if (!reuse) {
		engine.serverImage();
		await server.boot();
	}
	// nothing else makes sense where the installation failed
	if (reuse || (await drill('install')))
		for (const name of ORDER.filter((n) => n !== 'install' && (wanted.length === 0 || wanted.includes(n)))) await drill(name);
} finally {
	if (!process.env.OPS_DRILL_KEEP) {
		server.destroy();
		engine.stop();
	}
}
say('');
for (const { name, seconds, failure } of results) say(`${name.padEnd(24)} ${String(seconds).padStart(5)} s  ${failure ? 'FAILED' : 'ok'}`);
const failed = results.filter((r) => r.failure).length;
say(`${results.length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
