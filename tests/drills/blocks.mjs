// The commands of a Markdown file: fenced blocks `sh`, each with the block `output` that may follow it.
//
// An `output` block is what the commands print: its lines must come in this order, other lines may stand
// between them, and … in a line stands for anything.
import { readFileSync } from 'node:fs';

// blocks(file, heading?): [{ heading, line, sh, output }] below that heading, deeper headings included.
export function blocks(file, heading) {
	const found = [];
	const path = [];
	let fence = null;
	for (const [i, raw] of readFileSync(file, 'utf8').split('\n').entries()) {
		const open = raw.match(/^( *)```(\w*)$/);
		if (fence) {
			if (open && open[2] === '') {
				if (fence.kind === 'sh') found.push({ heading: [...path], line: fence.line, sh: fence.text.join('\n'), output: [] });
				else if (fence.kind === 'output') found.at(-1).output = fence.text.filter((l) => l.trim() !== '');
				fence = null;
			} else fence.text.push(raw.slice(fence.indent));
			continue;
		}
		if (open) {
			fence = { kind: open[2], indent: open[1].length, text: [], line: i + 1 };
			if (fence.kind === 'output' && found.length === 0) throw new Error(`${file}:${i + 1}: an output of nothing`);
			continue;
		}
		const title = raw.match(/^(#+) (.*)$/);
		if (title) path.splice(title[1].length - 1, 9, title[2]);
	}
	if (fence) throw new Error(`${file}: the block of line ${fence.line} does not end`);
	return heading ? found.filter((b) => b.heading.includes(heading)) : found;
}

// Which expected line is missing; undefined: none.
export function missingLine(output, printed) {
	const lines = printed.split('\n');
	let at = 0;
	for (const expected of output) {
		const pattern = new RegExp(`^\\s*${expected.trim().split('…').map((s) => s.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*')}\\s*$`);
		while (at < lines.length && !pattern.test(lines[at])) at++;
		if (at === lines.length) return expected;
		at++;
	}
	return undefined;
}
