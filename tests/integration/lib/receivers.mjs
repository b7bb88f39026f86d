// Who notifications go to, for tests: an HTTP server and an SMTP server that keep what they get and do as wrong as
// they are told.
//
//   const http = await HttpReceiver.start();   // http.url, http.requests: [{ method, path, headers, body, json }]
//   http.answer = () => 500;                   // a status for the next requests; null: none at all, it hangs
//   const smtp = await SmtpReceiver.start({ tls: 'starttls' | 'implicit' | 'none', cert, key, user, password });
//   smtp.mails: [{ from, to, message, secure, user }], smtp.refuse = '550 no', smtp.hangAt = 'DATA' | 'QUIT'
//   await x.stop();
import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import tls from 'node:tls';

// A certificate of its own for localhost and 127.0.0.1; { cert, key } are paths.
export function makeCertificate(dir, name = 'mail') {
	const cert = join(dir, `${name}.crt`), key = join(dir, `${name}.key`);
	execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', `/CN=${name}`,
		'-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert], { stdio: 'pipe' });
	return { cert, key };
}

export class HttpReceiver {
	static async start() {
		const receiver = new HttpReceiver();
		receiver.requests = [];
		receiver.answer = () => 200;
		receiver.sockets = new Set();
		receiver.server = http.createServer((req, res) => {
			const parts = [];
			req.on('data', (part) => parts.push(part));
			req.on('end', async () => {
				const body = Buffer.concat(parts).toString();
				const request = { method: req.method, path: req.url, headers: req.headers, body, json: JSON.parse(body), at: Date.now() };
				request.status = await receiver.answer(request);
				receiver.requests.push(request);
				if (request.status === null) return;
				res.writeHead(request.status, { 'content-type': 'application/json' });
				res.end('{"id":"x"}');
			});
		});
		receiver.server.on('connection', (socket) => {
			receiver.sockets.add(socket);
			socket.on('close', () => receiver.sockets.delete(socket));
		});
		receiver.server.listen(0, '127.0.0.1');
		await once(receiver.server, 'listening');
		receiver.url = `http://127.0.0.1:${receiver.server.address().port}`;
		return receiver;
	}

	// Those that were taken.
	get taken() { return this.requests.filter((r) => r.status === 200); }
	titles() { return this.taken.map((r) => r.json.title); }

	async stop() {
		for (const socket of this.sockets) socket.destroy();
		this.server.close();
	}
}

// Whether a request to a webhook is signed as notify_message.h says.
export function isSigned(request, secret) {
	const expected = createHmac('sha256', secret).update(`${request.headers['x-ops-timestamp']}.${request.body}`).digest('hex');
	return request.headers['x-ops-signature'] === `sha256=${expected}`;
}

export class SmtpReceiver {
	static async start({ tls: mode = 'none', cert, key, user, password } = {}) {
		const receiver = new SmtpReceiver();
		Object.assign(receiver, { mode, cert, key, user, password, mails: [], commands: [], refuse: null, hangAt: null, sockets: new Set() });
		const accept = (socket) => receiver.accept(socket, mode === 'implicit');
		receiver.server = mode === 'implicit' ? tls.createServer({ cert, key }, accept) : net.createServer(accept);
		receiver.server.listen(0, '127.0.0.1');
		await once(receiver.server, 'listening');
		receiver.port = receiver.server.address().port;
		return receiver;
	}

	accept(socket, secure, greeted = false) {
		let rest = '', mail = null, data = null, user = null, wait = null;
		const say = (line) => socket.write(`${line}\r\n`);
		this.sockets.add(socket);
		socket.on('error', () => {});
		if (!greeted) say('220 test ESMTP');
		const command = (line) => {
			const verb = line.split(/[ :]/)[0].toUpperCase();
			this.commands.push(line);
			if (this.hangAt === verb) return;
			if (wait === 'login') {
				const [, name, word] = Buffer.from(line, 'base64').toString().split('\0');
				wait = null;
				return authenticate(name, word);
			}
			switch (verb) {
				case 'EHLO': {
					const more = [...(this.mode === 'starttls' && !secure ? ['STARTTLS'] : []), ...(this.user ? ['AUTH PLAIN'] : [])];
					say(`250${more.length ? '-' : ' '}test`);
					more.forEach((m, i) => say(`250${i + 1 < more.length ? '-' : ' '}${m}`));
					return;
				}
				case 'STARTTLS':
					say('220 go on');
					socket.removeAllListeners('data');
					return this.accept(new tls.TLSSocket(socket, { isServer: true, cert: this.cert, key: this.key }), true, true);
				case 'AUTH': {
					const [, , initial] = line.split(' ');
					if (initial) {
						const [, name, word] = Buffer.from(initial, 'base64').toString().split('\0');
						return authenticate(name, word);
					}
					wait = 'login';
					return say('334 ');
				}
				case 'MAIL':
					if (this.refuse) return say(this.refuse);
					if (this.user && !user) return say('530 sign in first');
					mail = { from: /<(.*?)>/.exec(line)[1], to: [], secure, user };
					return say('250 ok');
				case 'RCPT':
					mail.to.push(/<(.*?)>/.exec(line)[1]);
					return say('250 ok');
				case 'DATA':
					data = [];
					return say('354 go on');
				case 'QUIT':
					say('221 bye');
					return socket.end();
				default:
					return say('250 ok');
			}
		};
		const authenticate = (name, word) => {
			if (name !== this.user || word !== this.password) return say('535 wrong');
			user = name;
			return say('235 welcome');
		};
		socket.on('data', (part) => {
			rest += part.toString('latin1');
			for (let at; (at = rest.indexOf('\r\n')) >= 0;) {
				const line = rest.slice(0, at);
				rest = rest.slice(at + 2);
				if (data === null) command(line);
				else if (line !== '.') data.push(line.startsWith('.') ? line.slice(1) : line);
				else {
					mail.message = data.join('\r\n');
					this.mails.push(mail);
					data = null;
					say('250 taken');
				}
			}
		});
	}

	async stop() {
		for (const socket of this.sockets) socket.destroy();
		this.server.close();
	}
}

// Subject and text of a mail.
export function readMail(message) {
	const [head, ...body] = message.split('\r\n\r\n');
	const lines = head.replace(/\r\n[ \t]/g, ' ').split('\r\n');
	const headers = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]));
	const words = [...headers.subject.matchAll(/=\?UTF-8\?B\?(.*?)\?=/g)].map(([, b]) => Buffer.from(b, 'base64'));
	return { headers, subject: Buffer.concat(words).toString(), text: Buffer.from(body.join('\r\n\r\n'), 'base64').toString() };
}
