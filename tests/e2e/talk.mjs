// Commands and flows for the log viewer's tests, beside those of the examples: Stack.start({ catalogue: talk }).
import { chmodSync, copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('talk.sh', import.meta.url));

export function talk(dir, example) {
  const script = join(dir, 'libexec', 'talk.sh');
  copyFileSync(SCRIPT, script);
  chmodSync(script, 0o755);
  const commands = ['all', 'lines', 'slow', 'fail', 'rate', 'again']
    .map((mode) => `
  talk.${mode}:
    title: Talk ${mode}
    description: For the log viewer's tests
    exec: [${script}, ${mode}, "\${inputs.count}"]
    inputs:
      count: { type: int, min: 0, max: 2000000, default: 0, title: Count }
    max_output: ${mode === 'rate' ? '2GiB' : mode === 'all' ? '1MiB' : '256MiB'}
    timeout: 10m
    icon: list
`)
    .join('');
  const cut = `
  talk.cut:
    title: Talk too much
    description: More than is kept
    exec: [${script}, lines, "\${inputs.count}"]
    inputs:
      count: { type: int, min: 0, max: 2000000, default: 200000, title: Count }
    max_output: 1MiB
    timeout: 1m
    icon: list
`;
  const until = `
  talk.until:
    title: Talk until
    description: Until somebody has heard enough
    exec: [${script}, until, ${join(dir, 'enough')}]
    timeout: 10m
    icon: list
`;
  const flows = {
    'talk.steps': `version: 1
id: talk.steps
title: Talk in steps
description: Steps that go well, at the same time, again, wait for somebody, and fail
icon: git-fork
timeout: 10m
steps:
  - { id: prepare, uses: talk.lines, with: { count: "3000" } }
  - { id: left, uses: talk.again, needs: [prepare], retry: { limit: 2, delay: 1s, exit_codes: [75] } }
  - { id: right, uses: talk.slow, needs: [prepare], with: { count: "20" } }
  - id: gate
    needs: [left, right]
    approve: { prompt: Both sides are through. Go on?, timeout: 5m, on_timeout: reject }
  - { id: roll, uses: talk.fail, needs: [gate], with: { count: "400" } }
finally:
  - { uses: talk.slow, with: { count: "3" } }
`,
    'talk.long': `version: 1
id: talk.long
title: Talk for a while
description: Many lines, then few until somebody has heard enough
icon: git-fork
timeout: 10m
steps:
  - { id: many, uses: talk.lines, with: { count: "20000" } }
  - { id: few, needs: [many], uses: talk.until }
`,
  };
  return { commands: example.commands + commands + cut + until, flows: { ...example.flows, ...flows } };
}
