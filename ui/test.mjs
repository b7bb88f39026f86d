// Bundles the unit tests of tests/ui/unit (Node 18 cannot read TypeScript) and runs them with the
// page tests: node test.mjs [--unit]
import { spawnSync } from 'node:child_process';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';

const tests = path.join(path.dirname(fileURLToPath(import.meta.url)), '../tests/ui');
const files = ['unit.test.mjs', 'styles.test.mjs'];
if (!process.argv.includes('--unit')) files.push('pages.test.mjs', 'machine.test.mjs', 'hosts.test.mjs', 'log.test.mjs', 'flood.test.mjs', 'shift.test.mjs', 'a11y.test.mjs');
const run = spawnSync(process.execPath, ['--test', ...files.map((f) => path.join(tests, f))], { stdio: 'inherit' });
process.exit(run.status ?? 1);
