// The example catalogue with what journeys need besides: an input of every type, what is dangerous, what queues, what asks.
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Stack } from '../integration/lib/stack.mjs';

const SCRIPTS = {
  // What it was given, an argument a line; of its environment what the catalogue puts there.
  say: '#!/bin/sh\nfor a in "$@"; do echo "[$a]"; done\necho "key: ${#SECRET_KEY}"\n',
  // Until it is told to go.
  stay: '#!/bin/sh\necho started\nexec sleep 600\n',
  // Deaf to SIGTERM until there is a file of its label.
  deaf: '#!/bin/sh\ntrap "" TERM\necho started\nuntil [ -e "$1-$2" ]; do sleep 0.05; done\n',
  // Says what is wrong, and ends so.
  fails: '#!/bin/sh\ni=0\nwhile [ $i -lt 200 ]; do i=$((i+1)); echo "line $i"; done\necho "ERROR: it broke" >&2\nexit 3\n',
  // $1 lines, one each $2 seconds.
  ticks: '#!/bin/sh\ni=0\nwhile [ $i -lt "$1" ]; do i=$((i+1)); echo "tick $i of $1"; sleep "$2"; done\n',
  // A line each 50 ms until the file $1 is there.
  until: '#!/bin/sh\ni=0\nuntil [ -e "$1" ]; do i=$((i+1)); echo "line $i goes on"; sleep 0.05; done\n',
  // What $1 says, and goes on until the file $2 is there.
  told: '#!/bin/sh\n"$1"\nuntil [ -e "$2" ]; do sleep 0.05; done\necho "told so"\n',
};

const commands = (bin, dir) => `
  test.inputs:
    title: Every kind of input
    exec: ["${bin}/say", "\${inputs.text}", "\${inputs.slug}", "\${inputs.count}", "\${inputs.dry}", "\${inputs.where}", "\${inputs.region}", "\${inputs.file}", "\${inputs.host}", "\${inputs.url}", "\${inputs.wait}", "\${inputs.free}"]
    env: { SECRET_KEY: "\${inputs.key}" }
    inputs:
      text: { type: string, required: true, max_length: 12, title: Text }
      slug: { type: slug, default: manual, title: Label }
      count: { type: int, min: 1, max: 9, default: 3, title: Count }
      dry: { type: bool, default: false, title: Dry run }
      where: { type: enum, values: [staging, production], default: staging, title: Where }
      region: { type: enum, values: [ams, fra, lhr, cdg, mad, waw], default: ams, title: Region }
      file: { type: path, under: "${dir}/files", required: true, title: File }
      host: { type: host, default: localhost, title: Host }
      url: { type: url, schemes: [https], default: "https://example.org/", title: Address }
      wait: { type: duration, default: 5s, title: Wait }
      key: { type: secret, required: true, title: Key }
      free: { type: string, pattern: "[a-z]{2,4}", default: abc, title: Word }
  test.danger:
    title: Something dangerous
    exec: ["${bin}/say", "\${inputs.word}"]
    danger: high
    inputs:
      word: { type: slug, default: careful, title: Word }
  test.stay:
    title: Stays in the queue
    exec: ["${bin}/stay"]
    group: one
    kill_after: 2s
  test.deaf:
    title: Does not listen
    exec: ["${bin}/deaf", "${dir}/files/enough", "\${inputs.label}"]
    inputs:
      label: { type: slug, required: true }
    kill_after: 5m
  test.fails:
    title: Fails
    exec: ["${bin}/fails"]
  test.ticks:
    title: Ticks
    exec: ["${bin}/ticks", "\${inputs.n}", "\${inputs.gap}"]
    inputs:
      n: { type: int, min: 1, max: 100000, default: 20, title: How many }
      gap: { type: enum, values: ["0.01", "0.05", "0.1", "1"], default: "0.1", title: Seconds between }
  test.until:
    title: Goes on
    exec: ["${bin}/until", "${dir}/files/seen"]
  test.colours:
    title: Colours until told
    exec: ["${bin}/told", "${dir}/libexec/demo-colours", "${dir}/files/told"]
`;

const ASK = `version: 1
id: test.ask
title: Asks first
schedule: [{ cron: "0 4 * * *", timezone: UTC }]
steps:
  - { id: gate, approve: { prompt: Shall it go on?, timeout: 15m, on_timeout: reject } }
  - { id: after, uses: demo.work, needs: [gate], with: { label: after, seconds: "0" } }
`;

const TIDY = `version: 1
id: test.tidy
title: Tidies up
inputs:
  label: { type: slug, required: true }
steps:
  - { id: work, uses: test.deaf, with: { label: "\${inputs.label}" } }
finally:
  - { uses: demo.work, with: { label: tidy, seconds: "0" } }
`;

export function catalogue(dir, example) {
  const bin = join(dir, 'bin');
  mkdirSync(bin);
  mkdirSync(join(dir, 'files'));
  writeFileSync(join(dir, 'files/there.txt'), 'x\n');
  for (const [name, text] of Object.entries(SCRIPTS)) {
    writeFileSync(join(bin, name), text);
    chmodSync(join(bin, name), 0o755);
  }
  return {
    commands: example.commands.replace('\ncommands:\n', '\ngroups:\n  one: { max_concurrent: 1, queue: 2 }\n\ncommands:\n').trimEnd() + commands(bin, dir),
    flows: { ...example.flows, 'test.ask': ASK, 'test.tidy': TIDY },
  };
}

export const startWorkshop = (more = {}) => Stack.start({ catalogue, ...more });

// test.colours goes on until it is told to end; when: 'from now on', 'now'.
export function colours(stack, when) {
  const file = join(stack.dir, 'files/told');
  if (when === 'now') writeFileSync(file, '');
  else rmSync(file, { force: true });
}
