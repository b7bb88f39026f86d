// core/app/api/openapi.json is whole: references resolve, operations are complete, schemas compile,
// and it says the same as PROTOCOL.md and the golden vectors.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { assertIs, compile, document, root, schemaAt } from './document.mjs';

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch'];
const read = (path) => readFileSync(new URL(path, root), 'utf8');

function* nodes(value, at = '#') {
	if (typeof value !== 'object' || value === null)
		return;
	yield [at, value];
	for (const [key, child] of Object.entries(value))
		yield* nodes(child, `${at}/${key.replace(/~/g, '~0').replace(/\//g, '~1')}`);
}

function resolve(pointer) {
	assert.ok(pointer.startsWith('#/'), `${pointer} points out of the document`);
	return pointer.slice(2).split('/').reduce((value, key) => value?.[key.replace(/~1/g, '/').replace(/~0/g, '~')], document);
}

function operations() {
	return Object.entries(document.paths).flatMap(([path, item]) =>
		Object.entries(item).filter(([method]) => METHODS.includes(method)).map(([method, operation]) => ({ path, method, operation, name: `${method.toUpperCase()} ${path}` })));
}

test('is OpenAPI 3.1 and can be served as it is', () => {
	assert.equal(document.openapi, '3.1.0');
	assert.ok(document.info.title && document.info.version);
	assert.ok(Buffer.byteLength(read('core/app/api/openapi.json')) < 256 * 1024);
});

test('every reference resolves', () => {
	for (const [at, node] of nodes(document)) {
		if (typeof node.$ref === 'string')
			assert.notEqual(resolve(node.$ref), undefined, `${at}: ${node.$ref}`);
		for (const target of Object.values(node.discriminator?.mapping ?? {}))
			assert.notEqual(resolve(target), undefined, `${at}: ${target}`);
	}
});

test('every component is used', () => {
	const used = new Set([...nodes(document)].map(([, node]) => node.$ref));
	for (const [kind, components] of Object.entries(document.components)) {
		if (kind === 'securitySchemes')
			continue;
		for (const name of Object.keys(components))
			assert.ok(used.has(`#/components/${kind}/${name}`), `nothing refers to ${kind}/${name}`);
	}
});

test('every operation has an id of its own, a known tag and complete responses', () => {
	const ids = new Set();
	const tags = new Set(document.tags.map((tag) => tag.name));
	for (const { operation, name } of operations()) {
		assert.ok(operation.operationId, name);
		assert.ok(!ids.has(operation.operationId), `${operation.operationId} twice`);
		ids.add(operation.operationId);
		assert.ok(operation.tags.length > 0 && operation.tags.every((tag) => tags.has(tag)), name);
		assert.ok(operation.summary, name);
		const statuses = Object.keys(operation.responses);
		assert.ok(statuses.some((status) => /^[123]\d\d$/.test(status)), `${name} never succeeds`);
		assert.ok(statuses.every((status) => /^([1-5]\d\d|default)$/.test(status)), name);
		for (const response of Object.values(operation.responses))
			assert.ok((response.$ref ? resolve(response.$ref) : response).description, name);
		assert.ok([undefined, 'planned'].includes(operation['x-status']), name);
	}
});

test('path parameters and paths name each other', () => {
	for (const { path, operation, name } of operations()) {
		const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort();
		const declared = (operation.parameters ?? []).map((parameter) => (parameter.$ref ? resolve(parameter.$ref) : parameter));
		for (const parameter of declared) {
			assert.ok(['path', 'query', 'header'].includes(parameter.in) && parameter.schema, `${name}: ${parameter.name}`);
			assert.ok(parameter.in !== 'path' || parameter.required === true, `${name}: ${parameter.name}`);
		}
		assert.deepEqual(declared.filter((parameter) => parameter.in === 'path').map((parameter) => parameter.name).sort(), inPath, name);
	}
});

test('unsafe operations need a session or token, and can say so', () => {
	for (const { method, operation, name } of operations()) {
		for (const requirement of operation.security ?? document.security)
			assert.ok(Object.keys(requirement).every((scheme) => document.components.securitySchemes[scheme]), name);
		if (operation.security?.length === 0)
			continue;
		assert.ok(operation.responses['401'], `${name} has no 401`);
		if (method !== 'get')
			assert.ok(operation.responses['403'], `${name} has no 403`);
	}
});

test('errors are problem details', () => {
	for (const [name, response] of Object.entries(document.components.responses))
		assert.deepEqual(Object.keys(response.content), ['application/problem+json'], name);
});

test('every schema compiles', () => {
	for (const name of Object.keys(document.components.schemas))
		schemaAt(`#/components/schemas/${name}`);
	for (const [at, node] of nodes({ paths: document.paths, parameters: document.components.parameters, live: document['x-websocket'] })) {
		if (typeof node.schema === 'object') {
			try {
				compile(node.schema);
			} catch (error) {
				assert.fail(`${at}: ${error.message}`);
			}
		}
	}
});

test('requests refuse members they do not know', () => {
	for (const { operation, name } of operations()) {
		const schema = operation.requestBody?.content['application/json']?.schema;
		if (schema?.$ref)
			assert.equal(resolve(schema.$ref).additionalProperties, false, name);
	}
});

test('every topic of the WebSocket says what it sends', () => {
	const live = document['x-websocket']['/api/v1/live'];
	const pattern = new RegExp(document.components.schemas.LiveTopic.pattern);
	const events = document.components.schemas.LiveServerMessage.properties.event.enum;
	for (const [topic, said] of Object.entries(live.topics)) {
		const example = topic.replace('run/{id}', 'run/01a20aa3-3d80-7000-8000-000000000001').replace('{id}', '4f2a9c0e7b11').replace('{name}', 'caddy.service');
		assert.match(example, pattern);
		assert.ok(said.snapshot && said.error, topic);
		assert.ok(Object.keys(said).every((key) => key === 'x-status' || events.includes(key)), topic);
	}
	assertIs('LiveClientMessage', { op: 'subscribe', id: 1, topic: 'runs' });
	assertIs('LiveClientMessage', { op: 'subscribe', id: 2, topic: 'run/01a20aa3-3d80-7000-8000-000000000001/log', offset: -65536 });
	assertIs('LiveClientMessage', { op: 'credit', id: 2, bytes: 1 });
	assert.throws(() => assertIs('LiveClientMessage', { op: 'credit', id: 2 }));
	assert.throws(() => assertIs('LiveClientMessage', { op: 'subscribe', id: 0, topic: 'runs' }));
	assert.throws(() => assertIs('LiveClientMessage', { op: 'subscribe', id: 1, topic: 'elsewhere' }));
});

// Rows `{"GET", API "/runs/{id}", ROLE_SESSION, …}` of the daemon's table.
function routes() {
	const table = read('core/app/routes.c').split('app_routes[] = {')[1].split('};')[0];
	return new Map([...table.matchAll(/\{"([A-Z]+)", (API )?"([^"]+)", (ROLE_\w+)/g)].map(([, method, api, path, role]) =>
		[`${method} ${api ? '/api/v1' : ''}${path}`, role]));
}

test('the routes that are built are those of the table', () => {
	const table = routes();
	assert.ok(table.size > 10);
	const built = operations().filter(({ operation }) => operation['x-status'] !== 'planned');
	assert.deepEqual(built.map(({ name }) => name).sort(), [...table.keys()].sort());
	for (const { operation, name } of built)
		assert.equal(operation.security?.length === 0, ['ROLE_PUBLIC', 'ROLE_HOOK'].includes(table.get(name)), `${name}: who may call it`);
});

test('the journal of the golden vectors consists of documented events', () => {
	for (const journal of JSON.parse(read('tests/vectors/records.json')).journals) {
		const bytes = Buffer.from(journal.hex, 'hex');
		for (const offset of journal.offsets.map(Number)) {
			if (bytes[offset + 22] === 3)
				assertIs('JournalEvent', JSON.parse(bytes.subarray(offset + 24, offset + 24 + bytes.readUInt32LE(offset)).toString()));
		}
	}
});

// The rows `| name | member, member [items] (remark), … |` of a table of PROTOCOL.md.
function eventsOfProtocol(header) {
	const section = read('proto/PROTOCOL.md').split(`\n| ${header} `)[1].split('\n\n')[0];
	return new Map([...section.matchAll(/^\| `([a-z_.]+)` \|([^|]*)\|/gm)].map(([, event, members]) => {
		let bare = members;
		while (/[[({]/.test(bare))
			bare = bare.replace(/\[[^[\](){}]*\]|\([^[\](){}]*\)|\{[^[\](){}]*\}/g, '');
		return [event, bare.split(',').map((name) => name.trim()).filter(Boolean)];
	}));
}

for (const [name, header, common] of [['JournalEvent', 'event', ['event']], ['LedgerEvent', 'ledger event', ['position', 'time_us', 'event', 'prev']]]) {
	test(`PROTOCOL.md lists the same events with the same members: ${name}`, () => {
		const mapping = document.components.schemas[name].discriminator.mapping;
		const events = eventsOfProtocol(header);
		assert.deepEqual([...events.keys()].sort(), Object.keys(mapping).sort());
		for (const [event, pointer] of Object.entries(mapping)) {
			const schema = resolve(pointer);
			assert.equal(schema.properties.event.const, event);
			assert.deepEqual(Object.keys(schema.properties).filter((member) => !common.includes(member)), events.get(event), event);
		}
	});
}

test('PROTOCOL.md lists the same statuses and reasons', () => {
	const text = read('proto/PROTOCOL.md').replace(/\s+/g, ' ');
	const words = (before) => text.split(before)[1].split('`')[1].split(' ');
	const { RunStatus, StepStatus, Reason } = document.components.schemas;
	assert.deepEqual(words('Status of a run: '), RunStatus.enum);
	assert.deepEqual(words('Status of a step: '), StepStatus.enum);
	assert.deepEqual(words('Reason: null or '), Reason.enum.filter(Boolean));
});
