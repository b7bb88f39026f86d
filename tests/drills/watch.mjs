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
await visitor.page.evaluate(() => (globalThis.same = true));

for await (const line of createInterface({ input: process.stdin })) {
	const [command, text] = [line.split(' ', 1)[0], line.slice(line.indexOf(' ') + 1)];
	if (command === 'look') {
		await visitor.page.locator('.lr .lx').getByText(text, { exact: true }).waitFor({ state: 'attached', timeout: 120_000 });
		console.log('{}');
	} else {
		const seen = { lines: (await visitor.lines()).slice(1), same: await visitor.page.evaluate(() => globalThis.same === true), complaints: visitor.complaints };
		console.log(JSON.stringify(seen));
		break;
	}
}
await browser.close();
process.exit(0);
