// ./dev drill [NAME…]: installs as the README says, breaks things, and follows the runbooks word for word.
import { appendFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DIR, Engine, ROOT, Server, say, supervised } from './engine.mjs';
import { blocks, missingLine } from './blocks.mjs';
import { account, drills, login, ORDER } from './scenes.mjs';

const wanted = process.argv.slice(2).filter((a) => a !== 'all');
// another server and another installation: the agent and systemd alone
if (wanted[0] === 'units') process.exit(await (await import('./units.mjs')).main(wanted.slice(1)));
for (const name of wanted) {
	if (!drills[name]) {
		console.error(`no drill '${name}'; there are: ${ORDER.join(' ')}`);
		process.exit(64);
	}
}

await supervised(process.env.OPS_DRILL_KEEP && 'ops-drill-server');
const engine = new Engine();
const server = new Server(engine);
const results = [];
const followed = new Set(); // FILE:LINE of the blocks

// Executes the blocks of a Markdown file, and compares what they print with what the file says they print.
// part: only the blocks right below that deeper heading; steps: [first, end) of them; edit: what a person changes.
Server.prototype.follow = function (file, heading, { env = {}, input = '', part, steps: [from, to] = [], edit = (sh) => sh } = {}) {
	const started = Date.now();
	const steps = blocks(join(ROOT, file), heading).filter((b) => !part || b.heading.at(-1) === part).slice(from, to);
	if (steps.length === 0) throw new Error(`${file} has no commands below '${heading}'${part ? `, ${part}` : ''}`);
	for (const step of steps) {
		const { status, out } = this.try(edit(step.sh), { env: { OPS_BUILD_NETWORK: 'host', ...env }, input });
		const missing = status === 0 ? missingLine(step.output, out) : undefined;
		followed.add(`${file}:${step.line}`);
		if (status === 0 && missing === undefined) continue;
		throw new Error(`${file}:${step.line}: ${missing === undefined ? `exit ${status}` : `'${missing}' was not printed`}\n` +
			`${step.sh}\n---\n${out.split('\n').slice(-40).join('\n')}`);
	}
	if (file.startsWith('runbooks/')) account.recovery += Date.now() - started;
	return steps.length;
};

async function drill(name) {
	const started = Date.now();
	let failure;
	Object.assign(account, { recovery: 0, runs: 0, lostRuns: 0, bytes: 0, lostBytes: 0 });
	try {
		if (name !== 'install') login(server); // each begins with a session of its own
		await drills[name](server);
	} catch (error) {
		failure = error;
	}
	const seconds = Math.round((Date.now() - started) / 1000);
	results.push({ name, seconds, failure, ...account });
	appendFileSync(join(DIR, 'log/results'), `${JSON.stringify({ at: new Date(started).toISOString(), name, ok: !failure, seconds, ...account })}\n`);
	say(`${failure ? 'not ok' : 'ok'} - ${name} (${seconds} s)`);
	if (failure) say(String(failure.stack ?? failure).replace(/^/gm, '  '));
	return !failure;
}

// With all drills done, the blocks that none of them has executed.
function notFollowed() {
	const files = ['README.md', ...readdirSync(join(ROOT, 'runbooks')).map((name) => `runbooks/${name}`)];
	return files.flatMap((file) => blocks(join(ROOT, file)).map((b) => `${file}:${b.line}`)).filter((at) => !followed.has(at));
}

await engine.start();
// OPS_DRILL_REUSE=1: the server that an earlier call with OPS_DRILL_KEEP=1 left, for whoever writes a drill
const reuse = Boolean(process.env.OPS_DRILL_REUSE);
if (!reuse) await server.boot();
// nothing else makes sense where the installation failed
if (reuse || (await drill('install')))
	for (const name of ORDER.filter((n) => n !== 'install' && (wanted.length === 0 || wanted.includes(n)))) await drill(name);
const complaints = wanted.length > 0 || reuse ? [] : notFollowed();
// Recovery: how long the runbook took from its first command to the end of its check. Lost: of the runs that were
// looked for afterwards and of the output that was compared.
const column = (text, width) => String(text).padStart(width);
say(`\n${'drill'.padEnd(24)} ${column('s', 5)} ${column('minutes to recover', 19)} ${column('runs', 5)} ${column('lost', 5)} ${column('bytes', 9)} ${column('lost', 5)}`);
for (const r of results)
	say(`${r.name.padEnd(24)} ${column(r.seconds, 5)} ${column(r.recovery ? (r.recovery / 60000).toFixed(1) : '-', 19)} ${column(r.runs, 5)} ` +
		`${column(r.lostRuns, 5)} ${column(r.bytes, 9)} ${column(r.lostBytes, 5)}  ${r.failure ? 'FAILED' : 'ok'}`);
complaints.forEach((at) => say(`not ok - executed by no drill: ${at}`));
const failed = results.filter((r) => r.failure).length + complaints.length;
say(`${results.length} drills, ${failed} failed`);
process.exit(failed ? 1 : 0);
