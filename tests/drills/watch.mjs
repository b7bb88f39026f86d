// watch.mjs ORIGIN RUN PASSWORD: a browser in the server's network that signs in and stays on a run's page.
//
// Commands on standard input, an answer of one line of JSON for each: `look TEXT` (the log shows a line TEXT),
// `leave` ({ lines, same, complaints }, and the end).
import { createInterface } from 'node:readline';
import { launch, TALL, Visitor } from '../e2e/browser.mjs';

const [origin, run, password] = process.argv.slice(2);
const browser = await launch([`--host-resolver-rules=MAP ${new URL(origin).host} 127.0.0.1`, '--ignore-certificate-errors']);
const visitor = await Visitor.open(browser, { url: origin, user: 'admin', password }, { viewport: TALL });
await visitor.signIn(`/runs/${run}`);
// A long log has only the rows near the viewport in the page, so what stood there is kept: each line's text, and every
// text but the first that a line's number ever had.
await visitor.page.evaluate(() => {
	Object.assign(globalThis, { same: true, kept: [], changed: [] });
	setInterval(() => {
		for (const row of document.querySelectorAll('.lr:has(.ln)')) {
			const n = Number(row.querySelector('.ln').textContent);
			const text = row.querySelector('.lx')?.textContent;
			if (n > 0 && globalThis.kept[n] === undefined) globalThis.kept[n] = text;
			else if (n > 0 && globalThis.kept[n] !== text) globalThis.changed.push(`${n}: ${globalThis.kept[n]}, then ${text}`);
		}
	}, 200);
});

for await (const line of createInterface({ input: process.stdin })) {
	const [command, text] = [line.split(' ', 1)[0], line.slice(line.indexOf(' ') + 1)];
	if (command === 'look') {
		await visitor.page.locator('.lr .lx').getByText(text, { exact: true }).waitFor({ state: 'attached', timeout: 120_000 });
		console.log('{}');
	} else {
		const seen = await visitor.page.evaluate(() => ({ lines: globalThis.kept?.slice(1), same: globalThis.same === true, changed: globalThis.changed }));
		console.log(JSON.stringify({ ...seen, complaints: [...visitor.complaints, ...(seen.changed ?? [])] }));
		break;
	}
}
await browser.close();
process.exit(0);
