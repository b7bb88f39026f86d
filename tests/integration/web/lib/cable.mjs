// In a network of its own (unshare --net): connections of every kind are open when the cable is pulled, so that not even
// the peer's kernel acknowledges anything. Prints how many of its connections each server still holds while the cable
// is out, and what WebSockets were told when it is in again; cable.test.mjs judges.
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { Server, WebSocketPeer, until } from './raw.mjs';

const cable = (state) => execFileSync('ip', ['link', 'set', 'lo', state]);
const descriptors = (server) => readdirSync(`/proc/${server.child.pid}/fd`).length;

cable('up');
const web = await Server.start('http-echo', { idle_ms: 5000, body_ms: 400, header_ms: 5000, write_ms: 400, linger_ms: 400 });
const ws = await Server.start('ws-echo', { ws_ping_ms: 100, ws_pong_ms: 400, write_ms: 400 });
const bare = { web: descriptors(web), ws: descriptors(ws) };

const stream = await web.open();
stream.send('GET /stream?blocks=2000&size=65536 HTTP/1.1\r\nHost: a\r\n\r\n');
await stream.when(() => stream.data.length > 1 << 20, 'some of a stream');
const body = await web.open();
body.send('POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n');
await body.response();
const quiet = await WebSocketPeer.open(ws, '/ws');
const flooded = await WebSocketPeer.open(ws, '/flood?mib=2000');
await flooded.peer.when(() => flooded.peer.data.length > 1 << 20, 'some of a flood');
cable('down');

await until(() => descriptors(web) === bare.web && descriptors(ws) === bare.ws, 'both to let go of whom they do not hear');
cable('up');
const codes = JSON.parse((await ws.get('/closes')).body);
const answer = (await web.get('/json')).status;
for (const peer of [stream, body, quiet.peer, flooded.peer]) peer.destroy();
await web.stop();
await ws.stop();
console.log(JSON.stringify({ codes, answer }));
process.exit(0);
