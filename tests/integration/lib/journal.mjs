// Real files of systemd's journal, without systemd: written by systemd-journal-remote (Debian's package of
// that name) from its export format.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const WRITER = '/lib/systemd/systemd-journal-remote';
export const canWriteJournals = existsSync(WRITER);

let sequence = 0;

function field(name, value) {
	const bytes = Buffer.from(value);
	if (!bytes.includes(10)) return Buffer.concat([Buffer.from(`${name}=`), bytes, Buffer.from('\n')]);
	const size = Buffer.alloc(8);
	size.writeBigUInt64LE(BigInt(bytes.length));
	return Buffer.concat([Buffer.from(`${name}\n`), size, bytes, Buffer.from('\n')]);
}

// Appends entries to a journal file: [{ MESSAGE: …, _SYSTEMD_UNIT: …, … }]. timeUs: of the first.
export function writeJournal(file, entries, timeUs = Date.now() * 1000) {
	const parts = [];
	for (const entry of entries) {
		sequence++;
		parts.push(Buffer.from(`__REALTIME_TIMESTAMP=${timeUs + sequence}\n__MONOTONIC_TIMESTAMP=${sequence}\n_BOOT_ID=0123456789abcdef0123456789abcdef\n`));
		for (const [name, value] of Object.entries(entry)) parts.push(field(name, value));
		parts.push(Buffer.from('\n'));
	}
	execFileSync(WRITER, ['-o', file, '-'], { input: Buffer.concat(parts), stdio: ['pipe', 'ignore', 'pipe'] });
}
