// Ports for what is started later, or started again.
//
//   const port = await freePort();
//
// They are below those that the kernel gives to connections: there, while nobody listens on it, any connection of any
// test may have it, and who was to listen there does not start.
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';

const FIRST = 11000; // browsers refuse some before

function firstOfConnections() {
	return Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/)[0]);
}

async function isFree(port) {
	const server = net.createServer().listen(port, '127.0.0.1');
	try {
		await once(server, 'listening');
	} catch (error) {
		if (error.code === 'EADDRINUSE') return false;
		throw error;
	}
	server.close();
	await once(server, 'close');
	return true;
}

export async function freePort() {
	const end = Math.max(firstOfConnections(), FIRST + 1000);
	for (;;) {
		const port = randomInt(FIRST, end);
		if (await isFree(port)) return port;
	}
}
