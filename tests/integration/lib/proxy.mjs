// A TCP proxy that does as wrong as it is told: { delayMs } holds every piece back in both directions,
// reset(bytes) cuts each connection with a RST after that many more bytes from the client, resetDown(bytes) from the
// server, a new connection begins to count anew; { bytewise } passes every byte on by itself; stall() lets nothing
// through any more, as a cable that was pulled.
import { once } from 'node:events';
import net from 'node:net';

export class Proxy {
	static async start(port, { delayMs = 0, bytewise = false } = {}) {
		const proxy = new Proxy();
		Object.assign(proxy, { target: port, delayMs, bytewise, sockets: new Set(), resets: 0, budget: Infinity, budgetDown: Infinity });
		proxy.server = net.createServer((client) => proxy.accept(client)).listen(0, '127.0.0.1');
		await once(proxy.server, 'listening');
		proxy.port = proxy.server.address().port;
		return proxy;
	}

	// Infinity: no more resets.
	reset(bytes) {
		this.budget = bytes;
	}

	resetDown(bytes) {
		this.budgetDown = bytes;
	}

	stall() {
		this.stalled = true;
	}

	accept(client) {
		const server = net.connect(this.target, '127.0.0.1');
		let sent = 0, received = 0;
		for (const socket of [client, server]) {
			this.sockets.add(socket);
			socket.setNoDelay(true);
			socket.on('error', () => {});
		}
		// The last bytes that fit still arrive.
		this.pipe(server, client, (n, data) => {
			received += n;
			if (received < this.budgetDown) return true;
			this.resets++;
			client.write(data.subarray(0, Math.max(0, n - (received - this.budgetDown))), () => client.resetAndDestroy());
			server.resetAndDestroy();
			return false;
		});
		this.pipe(client, server, (n) => {
			sent += n;
			if (sent < this.budget) return true;
			this.resets++;
			client.resetAndDestroy();
			server.resetAndDestroy();
			return false;
		});
	}

	pipe(from, to, allow = () => true) {
		from.on('data', (data) => {
			if (this.stalled || !allow(data.length, data)) return;
			if (this.delayMs > 0) setTimeout(() => to.destroyed || to.write(data), this.delayMs);
			else if (this.bytewise) for (let i = 0; i < data.length; i++) to.write(data.subarray(i, i + 1));
			else to.write(data);
		});
		from.on('close', () => {
			this.sockets.delete(from);
			setTimeout(() => to.destroy(), this.delayMs);
		});
	}

	async close() {
		for (const socket of this.sockets) socket.destroy();
		this.server.close();
		await once(this.server, 'close');
	}
}
