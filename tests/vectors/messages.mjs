// The messages of make.mjs. Each row is [struct name, case, fields…]; a field is [type, name, value].
const u = (bits) => (name, value) => ({ name, value, bits });
const u8 = u(8), u16 = u(16), u32 = u(32), u64 = u(64);
const str = (name, value) => ({ name, value, str: true });
const rest = (name, hex) => ({ name: `${name}_hex`, value: hex, rest: true });
const pairs = (count, name, value) => ({ name, value, count });

const RUN = '01a20aa3-3d80-7000-8000-000000000001';
const DIGEST = '50d858e0985ecc7f60418aaf0cc5ab587f42c2570a884095a9e8ccacd0f6545c';
const TIME = 1795474800000000n;
const MAX64 = 18446744073709551615n;
const run = () => str('run', RUN);
const actor = () => str('actor', 'user:admin');

const rows = [
	['request', 'hello with its secret', u16('method', 1), str('authorization', 'Bearer example-secret-0123456789abcdef'), rest('fields', '01000500000074657374')],
	['request', 'without fields', u16('method', 2), str('authorization', ''), rest('fields', '')],
	['request', 'a method of a later version', u16('method', 65535), str('authorization', 'Bearer x'), rest('fields', '00')],
	['response', 'ok with fields', u16('status', 0), str('message', ''), rest('fields', '0200000000000000')],
	['response', 'an error', u16('status', 4), str('message', 'no such run'), rest('fields', '')],
	['response', 'invalid input', u16('status', 6), str('message', 'the inputs are not valid'), rest('fields', '0100020000006462080000007265717569726564')],
	['problems', 'none', pairs('n', 'items', [])],
	['problems', 'two', pairs('n', 'items', [['db', 'must be one of app, ops'], ['label', 'is too long: 40 bytes, at most 32']])],
	['hello', 'of the dashboard', u16('version', 1), str('client', 'ops-dashboard/0.1.0')],
	['hello_reply', 'of an agent', u16('version', 1), str('agent_version', '0.1.0'), str('agent_id', '01a20aa3-3d80-7000-8000-00000000abcd'),
		str('host', 'box.example'), str('config_digest', DIGEST), u64('started_us', TIME), u64('ledger_position', 4711n),
		u32('max_payload', 1048576), u32('initial_credit', 1048576), u32('max_streams', 64)],
	['document', 'empty object', str('json', '{}')],
	['document', 'utf-8', str('json', '{"title":"Zürich ✓"}')],
	['run_start', 'without inputs', u8('kind', 1), u8('flags', 0), str('id', 'host.uptime'), actor(), str('trigger', 'manual'),
		str('idempotency_key', ''), pairs('n_inputs', 'inputs', [])],
	['run_start', 'dry run of a flow with inputs', u8('kind', 2), u8('flags', 1), str('id', 'backup'), str('actor', 'token:nightly'),
		str('trigger', 'hook:push'), str('idempotency_key', '5f0c'), pairs('n_inputs', 'inputs', [['db', 'app'], ['label', ''], ['note', 'naïve']])],
	['run_start_reply', 'created', u8('created', 1), str('json', `{"id":"${RUN}"}`)],
	['run_start_reply', 'there already', u8('created', 0), str('json', `{"id":"${RUN}"}`)],
	['run_ref', 'by uuid', run()],
	['run_ref', 'by number', str('run', '1482')],
	['run_list', 'from the newest', u8('filter', 0), u16('limit', 50), str('before', '')],
	['run_list', 'a page of the unreleased', u8('filter', 2), u16('limit', 200), str('before', RUN)],
	['run_list_reply', 'last page', str('json', '{"runs":[]}'), str('next', '')],
	['run_list_reply', 'more to come', str('json', '{"runs":[{}]}'), str('next', RUN)],
	['run_tail', 'from the start', run(), u64('offset', 0n)],
	['run_tail', 'from far behind', run(), u64('offset', 1099511627776n)],
	['run_tail_reply', 'of a running run', u64('offset', 512n), u64('size', 4096n), str('json', `{"id":"${RUN}","status":"running"}`)],
	['run_cancel', 'with a reason', run(), actor(), str('reason', 'wrong database')],
	['run_approve', 'yes', run(), str('step', 'gate'), u8('approve', 1), actor(), str('comment', 'looks good')],
	['run_approve', 'no', run(), str('step', 'gate'), u8('approve', 0), actor(), str('comment', '')],
	['run_locate', 'line 0', run(), u8('kind', 0), u64('value', 0n)],
	['run_locate', 'a time', run(), u8('kind', 1), u64('value', TIME)],
	['run_locate', 'an offset', run(), u8('kind', 2), u64('value', MAX64)],
	['run_locate', 'before the end', run(), u8('kind', 3), u64('value', 65536n)],
	['run_locate_reply', 'a record', u64('offset', 262144n), u64('line', 5000n), u64('time_us', TIME)],
	['run_release', 'with its digest', run(), str('digest', DIGEST)],
	['events', 'only what is new', u64('position', MAX64)],
	['events', 'from the first', u64('position', 0n)],
	['events_reply', 'a position', u64('position', 4711n)],
	['status_watch', 'every two seconds', u32('interval_ms', 2000)],
	['reload', 'by a person', str('actor', 'opsctl:1000')],
	['reload_reply', 'the new digest', str('config_digest', DIGEST)],
	['tail_open', 'a container', u8('kind', 1), str('name', '4f2a9c0e7b11'), u32('backlog_lines', 200)],
	['tail_open', 'a unit', u8('kind', 2), str('name', 'caddy.service'), u32('backlog_lines', 0)],
	['schedule_pause', 'pause', str('flow', 'backup'), u8('pause', 1), actor(), str('reason', 'disk is being replaced')],
	['schedule_pause', 'resume', str('flow', 'backup'), u8('pause', 0), actor(), str('reason', '')],
	['maintenance', 'on', u8('on', 1), actor(), str('reason', 'kernel update')],
	['run_cancel_all', 'with a reason', actor(), str('reason', 'going down')],
	['run_cancel_all_reply', 'three', u32('n_runs', 3)],
	['secret_rotate', 'with a day of grace', actor(), u32('grace_s', 86400)],
	['secret_rotate_reply', 'until then', u64('old_valid_until_us', TIME)],
	['chunk', 'without records', u64('offset', 96n), rest('records', '')],
	['chunk', 'with one record', u64('offset', 0n), rest('records', '060000004acf25fb003ca88df9600600000000000000010068656c6c6f0a')],
	['end', 'finished', u64('offset', 1000n), u16('reason', 1)],
	['end', 'shutting down', u64('offset', 0n), u16('reason', 5)],
	['credit', 'one mebibyte', u32('bytes', 1048576)],
	['goaway', 'malformed', u16('code', 1), str('message', 'frame of an unknown type')],
	['goaway', 'shutting down', u16('code', 0), str('message', '')],
	['run_stop', 'in its own time', run(), u8('kill', 0), actor(), str('reason', '')],
	['run_stop', 'at once', run(), u8('kill', 1), actor(), str('reason', 'it hangs')],
];

function encodeInt(value, bits) {
	const out = Buffer.alloc(8);
	out.writeBigUInt64LE(BigInt(value));
	return out.subarray(0, bits / 8);
}

function encodeStr(text) {
	const bytes = Buffer.from(text);
	return Buffer.concat([encodeInt(bytes.length, 32), bytes]);
}

function encode(fields) {
	return Buffer.concat(fields.map((f) => {
		if (f.str)
			return encodeStr(f.value);
		if (f.rest)
			return Buffer.from(f.value, 'hex');
		if (f.count)
			return Buffer.concat([encodeInt(f.value.length, 16), ...f.value.flat().map(encodeStr)]);
		return encodeInt(f.value, f.bits);
	}));
}

function show(fields) {
	const shown = {};
	for (const f of fields) {
		if (f.count) {
			shown[f.count] = f.value.length;
			shown[f.name] = f.value.map(([name, value]) => ({ name, value }));
		} else {
			shown[f.name] = typeof f.value === 'bigint' ? String(f.value) : f.value;
		}
	}
	return shown;
}

export const messages = rows.map(([name, what, ...fields]) => ({ name, case: what, hex: encode(fields).toString('hex'), fields: show(fields) }));

function refuse(name, why, ...fields) {
	return { name, hex: encode(fields).toString('hex'), why };
}

// Every message that ends in no open-ended field, cut short and prolonged; then values out of bounds.
const openEnded = new Set(['request', 'response', 'chunk']);
const first = new Map(rows.map(([name, , ...fields]) => [name, fields]));
const cutAndLong = [...first].flatMap(([name, fields]) => {
	const bytes = encode(fields);
	const rows2 = openEnded.has(name) ? [] : [{ name, hex: Buffer.concat([bytes, Buffer.alloc(1)]).toString('hex'), why: 'trailing byte' },
		{ name, hex: bytes.subarray(0, -1).toString('hex'), why: 'last byte missing' }];
	return [...rows2, { name, hex: '', why: 'empty' }, { name, hex: bytes.subarray(0, 1).toString('hex'), why: 'only the first byte' }];
});

export const refusedMessages = [
	...cutAndLong,
	refuse('request', 'authorization longer than the message', u16('method', 1), u32('length', 5), rest('x', '61626364')),
	refuse('request', 'authorization of all ones', u16('method', 1), u32('length', 0xffffffff), rest('x', '61626364')),
	refuse('response', 'fields after an error', u16('status', 4), str('message', 'no'), rest('fields', '00')),
	refuse('problems', 'more than 64', pairs('n', 'items', Array.from({ length: 65 }, () => ['a', 'b']))),
	refuse('problems', 'fewer than counted', u16('n', 2), str('name', 'a'), str('value', 'b')),
	refuse('run_start', 'kind 0', u8('kind', 0), u8('flags', 0), str('id', 'x'), actor(), str('trigger', ''), str('idempotency_key', ''), u16('n_inputs', 0)),
	refuse('run_start', 'kind 3', u8('kind', 3), u8('flags', 0), str('id', 'x'), actor(), str('trigger', ''), str('idempotency_key', ''), u16('n_inputs', 0)),
	refuse('run_start', 'unknown flag', u8('kind', 1), u8('flags', 2), str('id', 'x'), actor(), str('trigger', ''), str('idempotency_key', ''), u16('n_inputs', 0)),
	refuse('run_start', 'more than 64 inputs', u8('kind', 1), u8('flags', 0), str('id', 'x'), actor(), str('trigger', ''), str('idempotency_key', ''),
		pairs('n', 'inputs', Array.from({ length: 65 }, () => ['a', 'b']))),
	refuse('run_start', 'an input longer than the message', u8('kind', 1), u8('flags', 0), str('id', 'x'), actor(), str('trigger', ''), str('idempotency_key', ''),
		u16('n_inputs', 1), str('name', 'a'), u32('length', 9), rest('x', '62')),
	refuse('run_start_reply', 'created 2', u8('created', 2), str('json', '{}')),
	refuse('run_list', 'filter 3', u8('filter', 3), u16('limit', 1), str('before', '')),
	refuse('run_list', 'limit 0', u8('filter', 0), u16('limit', 0), str('before', '')),
	refuse('run_list', 'limit 201', u8('filter', 0), u16('limit', 201), str('before', '')),
	refuse('run_approve', 'approve 2', run(), str('step', 'gate'), u8('approve', 2), actor(), str('comment', '')),
	refuse('run_locate', 'kind 4', run(), u8('kind', 4), u64('value', 0n)),
	refuse('tail_open', 'kind 0', u8('kind', 0), str('name', 'x'), u32('backlog_lines', 0)),
	refuse('tail_open', 'kind 3', u8('kind', 3), str('name', 'x'), u32('backlog_lines', 0)),
	refuse('schedule_pause', 'pause 2', str('flow', 'x'), u8('pause', 2), actor(), str('reason', '')),
	refuse('maintenance', 'on 2', u8('on', 2), actor(), str('reason', '')),
];
