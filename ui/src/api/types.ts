// The documents of the API as the page has them: generated (ui/types.mjs), and a few put together otherwise.

import { bool, list, num, object, or, shape, str, type Decoder } from './decode.ts';
import { WORDS, type AuditEntry as AuditDocument, type AuditList, type CatalogueCommand, type CatalogueStep, type Input, type NotifyTestAnswerResultsItem, type PlanStep, type Run, type RunKind, type RunStatus, type ScheduleFlowsItem, type SessionInfo, type StepStatus, type Token } from './document.gen.ts';
import { decoder } from './documents.ts';

export type { ApprovePrompt as Approval, InputType, NotifyHook, NotifyRule, NotifyTarget, PlanStep, Run, RunStatus, RunSummary, ScheduleRule, Session, SessionInfo, Step, StepStatus, Token } from './document.gen.ts';

export const STEP_STATUSES: readonly StepStatus[] = WORDS.StepStatus;
export type AnyStatus = RunStatus | StepStatus;
export type InputSpec = Input;
export type InputValue = string | number | boolean;
export type FlowStep = CatalogueStep;
export type ScheduledFlow = ScheduleFlowsItem & { host: string };
/** No run starts there. */
export interface Maintenance {
  host: string;
  on: boolean;
  reason: string;
  /** Why its agent could not be asked. */
  error: string;
  /** When it said what stands here then; 0: nothing is known of it. */
  asOf: number;
}
export interface Schedule {
  flows: ScheduledFlow[];
  /** One for each machine. */
  maintenance: Maintenance[];
}
export type AuditEntry = AuditDocument & { host: string };
export type AuditPage = Omit<AuditList, 'entries'> & { entries: AuditEntry[] };
export type NotifyResult = NotifyTestAnswerResultsItem;

/** What the dashboard of several machines says of each thing: whose it is. '': of the only one, or of the primary one. */
export const hostOf = (v: unknown): string => {
  const host = typeof v === 'object' && v !== null ? (v as Record<string, unknown>)['host'] : '';
  return typeof host === 'string' ? host : '';
};

const hostAt = (v: unknown, list: string, i: number): string => hostOf((v as Record<string, unknown[]>)[list]?.[i]);

/** A command or a flow, as what may be started. */
export interface CatalogEntry extends Pick<CatalogueCommand, 'id' | 'title' | 'description' | 'group' | 'icon' | 'inputs' | 'confirm' | 'danger' | 'user'> {
  kind: RunKind;
  host: string;
  /** None: a command. */
  steps: FlowStep[];
  /** Between the signals TERM and KILL; 0 for a flow, whose commands have their own. */
  kill_after_us: number;
}

export interface Catalog {
  digest: string;
  /** Whose newer files were refused, and why. */
  refused: { host: string; error: string }[];
  entries: CatalogEntry[];
}

const catalogue = decoder('Catalogue');
const refusals = or(list(shape<{ host: string; error: string }>({ host: str, error: or(str, '') })), []);

export const decodeCatalog: Decoder<Catalog> = (v, at) => {
  const c = catalogue(v, at);
  const each = refusals(object(v, at)['hosts'], `${at}.hosts`);
  return {
    digest: c.config_digest,
    refused: (each.length > 0 ? each : [{ host: '', error: c.config_error }]).filter((r) => r.error !== ''),
    entries: [...c.flows.map((f, i): CatalogEntry => ({ ...f, kind: 'flow', host: hostAt(v, 'flows', i), group: '', user: '', kill_after_us: 0 })), ...c.commands.map((e, i): CatalogEntry => ({ ...e, kind: 'command', host: hostAt(v, 'commands', i), steps: [] }))],
  };
};

const whole = decoder('Run');
const summary = decoder('RunSummary');

/** A run; one of a list has no steps. */
export const decodeRun: Decoder<Run> = (v, at) => ('steps' in object(v, at) ? whole(v, at) : { ...summary(v, at), steps: [] });

/** A run, bare or as {"run":…}. */
export const decodeRunAnswer: Decoder<Run> = (v, at) => {
  const o = object(v, at);
  return decodeRun('run' in o ? o['run'] : o, at);
};

const runList = decoder('RunList');

/** Runs of a list's answer, or of the topic `runs`, which is the list alone. */
export const decodeRuns: Decoder<{ runs: Run[]; next: string }> = (v, at) => {
  if (Array.isArray(v)) return { runs: v.map((r, i) => decodeRun(r, `${at}[${i}]`)), next: '' };
  const page = runList(v, at);
  return { runs: page.runs.map((r) => ({ ...r, steps: [] })), next: page.next };
};

const plan = decoder('Plan');
const sessionList = decoder('SessionList');
const tokenList = decoder('TokenList');

export const decodeSession = decoder('Session');
const schedule = decoder('Schedule');
const maintenances = or(list(shape<{ host: string; maintenance: boolean; maintenance_reason: string; error: string; as_of_us: number }>({ host: str, maintenance: or(bool, false), maintenance_reason: or(str, ''), error: or(str, ''), as_of_us: or(num, 0) })), []);
const audit = decoder('AuditList');

export const decodeSchedule: Decoder<Schedule> = (v, at) => {
  const s = schedule(v, at);
  const each = maintenances(object(v, at)['hosts'], `${at}.hosts`);
  return {
    flows: s.flows.map((f, i) => ({ ...f, host: hostAt(v, 'flows', i) })),
    maintenance: each.length > 0 ? each.map((m) => ({ host: m.host, on: m.maintenance, reason: m.maintenance_reason, error: m.error, asOf: m.as_of_us })) : [{ host: '', on: s.maintenance, reason: s.maintenance_reason, error: '', asOf: 0 }],
  };
};
export const decodeAudit: Decoder<AuditPage> = (v, at) => {
  const a = audit(v, at);
  return { ...a, entries: a.entries.map((e, i) => ({ ...e, host: hostAt(v, 'entries', i) })) };
};
export const decodePlan: Decoder<PlanStep[]> = (v, at) => plan(v, at).plan;
export const decodeSessions: Decoder<SessionInfo[]> = (v, at) => sessionList(v, at).sessions;
export const decodeTokens: Decoder<Token[]> = (v, at) => tokenList(v, at).tokens;
/** A token that was just made: its secret is told this once. */
export const decodeNewToken = decoder('NewToken');
export const decodeTotp = decoder('TotpVerifyAnswer');

const notifyTest = decoder('NotifyTestAnswer');

export const decodeNotify = decoder('Notify');
export const decodeNotifyTest: Decoder<NotifyResult[]> = (v, at) => notifyTest(v, at).results;
