// The documents of the API, as far as the page uses them.

import { bool, list, map, num, object, oneOf, or, shape, str, type Decoder } from './decode.ts';

export const RUN_STATUSES = ['queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled', 'timed_out', 'lost', 'skipped'] as const;
export type RunStatus = (typeof RUN_STATUSES)[number];
export const STEP_STATUSES = ['pending', 'running', 'waiting', 'retrying', 'succeeded', 'failed', 'skipped', 'cancelled', 'timed_out', 'lost'] as const;
export type StepStatus = (typeof STEP_STATUSES)[number];
export type AnyStatus = RunStatus | StepStatus;

export interface Approval {
  prompt: string;
  timeout_us: number;
  on_timeout: 'reject' | 'approve';
}

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
  /** Indices of the steps it waits for. */
  needs: number[];
  outputs: Record<string, string>;
  /** What it asks a person; null: nothing. */
  approve: Approval | null;
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
  needs: or(list(num), []),
  outputs: or(map(scalarText), {}),
  approve: or(shape<Approval>({ prompt: text, timeout_us: or(num, 0), on_timeout: or(oneOf(['reject', 'approve'] as const, 'reject'), 'reject') }), null),
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

export interface ScheduleRule {
  cron: string;
  timezone: string;
  next_us: number;
}

export interface ScheduledFlow {
  flow: string;
  title: string;
  rules: ScheduleRule[];
  next_us: number;
  last_run: Run | null;
  paused: boolean;
  paused_by: string;
  reason: string;
}

export interface Schedule {
  flows: ScheduledFlow[];
  maintenance: boolean;
  maintenance_reason: string;
}

export const decodeSchedule: Decoder<Schedule> = shape<Schedule>({
  flows: list(
    shape<ScheduledFlow>({
      flow: str,
      title: text,
      rules: or(list(shape<ScheduleRule>({ cron: text, timezone: text, next_us: time })), []),
      next_us: time,
      last_run: or(decodeRun, null),
      paused: or(bool, false),
      paused_by: text,
      reason: text,
    }),
  ),
  maintenance: or(bool, false),
  maintenance_reason: text,
});

export interface AuditEntry {
  id: number;
  time_us: number;
  source: 'dashboard' | 'agent';
  event: string;
  actor: string;
  address: string;
  request_id: string;
  run: string;
  data: Record<string, unknown>;
}

export interface AuditPage {
  entries: AuditEntry[];
  next: string;
  chain: 'verified' | 'broken' | 'unknown';
}

export const decodeAudit: Decoder<AuditPage> = shape<AuditPage>({
  entries: list(
    shape<AuditEntry>({
      id: num,
      time_us: time,
      source: or(oneOf(['dashboard', 'agent'] as const, 'dashboard'), 'dashboard'),
      event: text,
      actor: text,
      address: text,
      request_id: text,
      run: text,
      data: or(object, {}),
    }),
  ),
  next: text,
  chain: or(oneOf(['verified', 'broken', 'unknown'] as const, 'unknown'), 'unknown'),
});

export interface SessionInfo {
  id: string;
  current: boolean;
  created_us: number;
  seen_us: number;
  expires_us: number;
  address: string;
  user_agent: string;
}

export const decodeSessions: Decoder<SessionInfo[]> = (v, at) =>
  list(shape<SessionInfo>({ id: str, current: or(bool, false), created_us: time, seen_us: time, expires_us: time, address: text, user_agent: text }))(object(v, at)['sessions'], `${at}.sessions`);

export interface Token {
  id: string;
  name: string;
  scopes: string[];
  created_us: number;
  /** 0: never. */
  expires_us: number;
  last_used_us: number;
}

const decodeToken = shape<Token>({ id: str, name: text, scopes: or(list(str), []), created_us: time, expires_us: time, last_used_us: time });

export const decodeTokens: Decoder<Token[]> = (v, at) => list(decodeToken)(object(v, at)['tokens'], `${at}.tokens`);

/** A token that was just made: its secret is told this once. */
export const decodeNewToken: Decoder<{ token: Token; secret: string }> = shape<{ token: Token; secret: string }>({ token: decodeToken, secret: str });

export const decodeTotp: Decoder<{ ok: boolean; line: string }> = shape<{ ok: boolean; line: string }>({ ok: bool, line: text });

export interface NotifyTarget {
  name: string;
  kind: 'ntfy' | 'webhook' | 'mail';
  /** Host and port. */
  where: string;
  /** Events it has not taken yet. */
  waiting: number;
  last: { time_us: number; ok: boolean; message: string } | null;
}

/** Patterns are empty for all. */
export interface NotifyRule {
  on: string[];
  runs: string[];
  sections: string[];
  items: string[];
  targets: string[];
}

export interface NotifyHook {
  name: string;
  flow: string;
  events: string[];
  refs: string[];
}

export interface Notify {
  targets: NotifyTarget[];
  rules: NotifyRule[];
  hooks: NotifyHook[];
}

const words = or(list(str), []);

export const decodeNotify: Decoder<Notify> = shape<Notify>({
  targets: list(
    shape<NotifyTarget>({
      name: str,
      kind: oneOf(['ntfy', 'webhook', 'mail'] as const, 'webhook'),
      where: text,
      waiting: or(num, 0),
      last: or(shape({ time_us: time, ok: bool, message: text }), null),
    }),
  ),
  rules: list(shape<NotifyRule>({ on: words, runs: words, sections: words, items: words, targets: words })),
  hooks: list(shape<NotifyHook>({ name: str, flow: text, events: words, refs: words })),
});

export interface NotifyResult {
  target: string;
  ok: boolean;
  message: string;
}

export const decodeNotifyTest: Decoder<NotifyResult[]> = (v, at) => list(shape<NotifyResult>({ target: str, ok: bool, message: text }))(object(v, at)['results'], `${at}.results`);
