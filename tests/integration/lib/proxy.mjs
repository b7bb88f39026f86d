// A TCP proxy that does as wrong as it is told: { delayMs } holds every piece back in both directions,
// reset(bytes) cuts each connection with a RST after that many more bytes from the client.
import { once } from 'node:events';
import net from 'node:net';

export class Proxy {
	static async start(port, { delayMs = 0 } = {}) {
		const proxy = new Proxy();
		Object.assign(proxy, { target: port, delayMs, sockets: new Set(), resets: 0, budget: Infinity });
		proxy.server = net.createServer((client) => proxy.accept(client)).listen(0, '127.0.0.1');
		await once(proxy.server, 'listening');
		proxy.port = proxy.server.address().port;
		return proxy;
	}

	// Infinity: no more resets.
	reset(bytes) {
		this.budget = bytes;
	}

	accept(client) {
		const server = net.connect(this.target, '127.0.0.1');
		let sent = 0;
		for (const socket of [client, server]) {
			this.sockets.add(socket);
			socket.setNoDelay(true);
			socket.on('error', () => {});
		}
		this.pipe(server, client);
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
			if (!allow(data.length)) return;
			if (this.delayMs > 0) setTimeout(() => to.destroyed || to.write(data), this.delayMs);
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
