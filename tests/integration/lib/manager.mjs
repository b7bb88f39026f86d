// A private bus, and on it what the agent asks of systemd (tests/tools/fake-manager.c).
//
//   const manager = await Manager.start(t);          // ends with the test
//   Agent.start({ …, env: manager.env });            // OPS_LAUNCH=systemd, and the bus to ask
//   manager.started();                               // [{ unit, Slice, KillMode, … }] so far
//   await manager.become('refuse');                  // another manager on the same bus
//   manager.stopBus(); await manager.startBus();
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BUILD_DIR, until } from './agent.mjs';

export class Manager {
	static async start(mode = 'start') {
		const manager = new Manager();
		manager.dir = mkdtempSync(join(tmpdir(), 'ops-bus-'));
		manager.log = join(manager.dir, 'starts');
		manager.socket = join(manager.dir, 'bus');
		writeFileSync(join(manager.dir, 'bus.conf'), `<busconfig><listen>unix:path=${manager.socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`);
		manager.env = { OPS_LAUNCH: 'systemd', DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${manager.socket}` };
		await manager.startBus();
		await manager.become(mode);
		return manager;
	}

	async startBus() {
		this.bus = spawn('dbus-daemon', ['--nofork', `--config-file=${join(this.dir, 'bus.conf')}`], { stdio: 'ignore' });
		await until('the bus', () => existsSync(this.socket));
	}

	async stopBus() {
		const gone = once(this.bus, 'exit');
		this.bus.kill('SIGKILL');
		await gone;
		rmSync(this.socket, { force: true });
	}

	async become(mode) {
		await this.stop();
		this.process = spawn(join(BUILD_DIR, 'tests/tools/fake-manager'), [this.log, mode],
			{ env: { ...process.env, ...this.env }, stdio: ['ignore', 'pipe', 'inherit'] });
		await once(this.process.stdout, 'data');
	}

	async stop() {
		if (!this.process || this.process.exitCode !== null || this.process.signalCode !== null) return;
		const gone = once(this.process, 'exit');
		this.process.kill('SIGKILL');
		await gone;
	}

	started() {
		if (!existsSync(this.log)) return [];
		return readFileSync(this.log, 'utf8').trim().split('\n').filter(Boolean).map((line) => {
			const [unit, ...rest] = line.split(/ (?=[A-Z]\w+=)/);
			return { unit, ...Object.fromEntries(rest.map((p) => [p.slice(0, p.indexOf('=')), p.slice(p.indexOf('=') + 1)])) };
		});
	}

	async destroy() {
		await this.stop();
		await this.stopBus();
		rmSync(this.dir, { recursive: true, force: true });
	}
}
