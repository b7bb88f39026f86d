// The documents of the API, as far as the page uses them.

import { bool, list, map, num, object, oneOf, or, shape, str, type Decoder } from './decode.ts';

export const RUN_STATUSES = ['queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled', 'timed_out', 'lost', 'skipped'] as const;
export type RunStatus = (typeof RUN_STATUSES)[number];
export const STEP_STATUSES = ['pending', 'running', 'waiting', 'retrying', 'succeeded', 'failed', 'skipped', 'cancelled', 'timed_out', 'lost'] as const;
export type StepStatus = (typeof STEP_STATUSES)[number];
export type AnyStatus = RunStatus | StepStatus;

export interface Step {
  index: number;
  id: string;
  uses: string;
  title: string;
  phase: 'main' | 'on_failure' | 'finally';
  status: StepStatus;
  reason: string;
  attempt: number;
  exit_code: number | null;
  signal: number | null;
  started_us: number;
  finished_us: number;
  offset: number | null;
}

export interface Run {
  id: string;
  number: number;
  host: string;
  kind: 'command' | 'flow';
  name: string;
  title: string;
  status: RunStatus;
  reason: string;
  exit_code: number | null;
  signal: number | null;
  inputs: Record<string, string>;
  actor: string;
  trigger: string;
  created_us: number;
  started_us: number;
  finished_us: number;
  bytes: number;
  lines: number;
  size: number;
  truncated: boolean;
  /** Empty in lists. */
  steps: Step[];
}

const text = or(str, '');
const time = or(num, 0);
const optionalNumber = or(num, null);
const scalarText: Decoder<string> = (v) =>
  typeof v === 'string' ? v : typeof v === 'number' || typeof v === 'boolean' ? String(v) : '';

export const decodeStep: Decoder<Step> = shape<Step>({
  index: num,
  id: str,
  uses: text,
  title: text,
  phase: or(oneOf(['main', 'on_failure', 'finally'] as const, 'main'), 'main'),
  status: or(oneOf(STEP_STATUSES, 'pending'), 'pending'),
  reason: text,
  attempt: or(num, 0),
  exit_code: optionalNumber,
  signal: optionalNumber,
  started_us: time,
  finished_us: time,
  offset: optionalNumber,
});

export const decodeRun: Decoder<Run> = shape<Run>({
  id: str,
  number: num,
  host: text,
  kind: or(oneOf(['command', 'flow'] as const, 'command'), 'command'),
  name: str,
  title: text,
  status: oneOf(RUN_STATUSES, 'running'),
  reason: text,
  exit_code: optionalNumber,
  signal: optionalNumber,
  inputs: or(map(scalarText), {}),
  actor: text,
  trigger: text,
  created_us: time,
  started_us: time,
  finished_us: time,
  bytes: or(num, 0),
  lines: or(num, 0),
  size: or(num, 0),
  truncated: or(bool, false),
  steps: or(list(decodeStep), []),
});

export const INPUT_TYPES = ['string', 'slug', 'int', 'bool', 'enum', 'path', 'host', 'url', 'duration', 'secret'] as const;
export type InputType = (typeof INPUT_TYPES)[number];
export type InputValue = string | number | boolean;

export interface InputSpec {
  name: string;
  type: InputType;
  title: string;
  description: string;
  required: boolean;
  default: InputValue | null;
  min: number | null;
  max: number | null;
  max_length: number | null;
  pattern: string;
  values: string[];
  under: string;
  schemes: string[];
}

const decodeDefault: Decoder<InputValue | null> = (v) =>
  typeof v === 'string' || typeof v === 'number' || typeof v === 'boolean' ? v : null;

const decodeInput = shape<InputSpec>({
  name: str,
  type: oneOf(INPUT_TYPES, 'string'),
  title: text,
  description: text,
  required: or(bool, false),
  default: decodeDefault,
  min: optionalNumber,
  max: optionalNumber,
  max_length: optionalNumber,
  pattern: text,
  values: or(list(str), []),
  under: text,
  schemes: or(list(str), []),
});

export interface FlowStep {
  id: string;
  uses: string;
  title: string;
  phase: string;
}

export interface CatalogEntry {
  kind: 'command' | 'flow';
  id: string;
  title: string;
  description: string;
  group: string;
  icon: string;
  inputs: InputSpec[];
  confirm: boolean;
  danger: 'low' | 'high';
  user: string;
  steps: FlowStep[];
}

const decodeEntry = (kind: 'command' | 'flow') =>
  shape<CatalogEntry>({
    kind: () => kind,
    id: str,
    title: text,
    description: text,
    group: text,
    icon: text,
    inputs: or(list(decodeInput), []),
    confirm: or(bool, false),
    danger: or(oneOf(['low', 'high'] as const, 'low'), 'low'),
    user: text,
    steps: or(list(shape<FlowStep>({ id: text, uses: text, title: text, phase: text })), []),
  });

export interface Catalog {
  digest: string;
  entries: CatalogEntry[];
}

export const decodeCatalog: Decoder<Catalog> = (v, at) => {
  const o = object(v, at);
  return {
    digest: text(o['config_digest'], `${at}.config_digest`),
    entries: [
      ...or(list(decodeEntry('flow')), [])(o['flows'], `${at}.flows`),
      ...or(list(decodeEntry('command')), [])(o['commands'], `${at}.commands`),
    ],
  };
};

export interface Session {
  user: string;
  /** Signing in, and saying who one is again, takes a code as well. */
  totp: boolean;
  version: string;
}

export const decodeSession: Decoder<Session> = shape<Session>({ user: text, totp: or(bool, false), version: text });

/** Runs of a list answer or of the topic `runs`. */
export const decodeRuns: Decoder<{ runs: Run[]; next: string }> = (v, at) => {
  if (Array.isArray(v)) return { runs: list(decodeRun)(v, at), next: '' };
  const o = object(v, at);
  return { runs: list(decodeRun)(o['runs'], `${at}.runs`), next: text(o['next'], `${at}.next`) };
};

/** A run, bare or as {"run":…}. */
export const decodeRunAnswer: Decoder<Run> = (v, at) => {
  const o = object(v, at);
  return decodeRun('run' in o ? o['run'] : o, at);
};

export interface PlanStep {
  step: string;
  argv: string[];
  user: string;
  cwd: string;
}

export const decodePlan: Decoder<PlanStep[]> = (v, at) =>
  list(shape<PlanStep>({ step: scalarText, argv: list(str), user: text, cwd: text }))(object(v, at)['plan'], `${at}.plan`);
