// The documents of the API as the page has them: generated (ui/types.mjs), and a few put together otherwise.

import { object, type Decoder } from './decode.ts';
import { WORDS, type AuditList, type CatalogueCommand, type CatalogueStep, type Input, type NotifyTestAnswerResultsItem, type PlanStep, type Run, type RunKind, type RunStatus, type ScheduleFlowsItem, type SessionInfo, type StepStatus, type Token } from './document.gen.ts';
import { decoder } from './documents.ts';

export type { ApprovePrompt as Approval, AuditEntry, InputType, NotifyHook, NotifyRule, NotifyTarget, PlanStep, Run, RunStatus, RunSummary, Schedule, ScheduleRule, Session, SessionInfo, Step, StepStatus, Token } from './document.gen.ts';

export const STEP_STATUSES: readonly StepStatus[] = WORDS.StepStatus;
export type AnyStatus = RunStatus | StepStatus;
export type InputSpec = Input;
export type InputValue = string | number | boolean;
export type FlowStep = CatalogueStep;
export type ScheduledFlow = ScheduleFlowsItem;
export type AuditPage = AuditList;
export type NotifyResult = NotifyTestAnswerResultsItem;

/** A command or a flow, as what may be started. */
export interface CatalogEntry extends Pick<CatalogueCommand, 'id' | 'title' | 'description' | 'group' | 'icon' | 'inputs' | 'confirm' | 'danger' | 'user'> {
  kind: RunKind;
  /** None: a command. */
  steps: FlowStep[];
}

export interface Catalog {
  digest: string;
  entries: CatalogEntry[];
}

const catalogue = decoder('Catalogue');

export const decodeCatalog: Decoder<Catalog> = (v, at) => {
  const c = catalogue(v, at);
  return {
    digest: c.config_digest,
    entries: [...c.flows.map((f): CatalogEntry => ({ ...f, kind: 'flow', group: '', user: '' })), ...c.commands.map((e): CatalogEntry => ({ ...e, kind: 'command', steps: [] }))],
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
export const decodeSchedule = decoder('Schedule');
export const decodeAudit = decoder('AuditList');
export const decodePlan: Decoder<PlanStep[]> = (v, at) => plan(v, at).plan;
export const decodeSessions: Decoder<SessionInfo[]> = (v, at) => sessionList(v, at).sessions;
export const decodeTokens: Decoder<Token[]> = (v, at) => tokenList(v, at).tokens;
/** A token that was just made: its secret is told this once. */
export const decodeNewToken = decoder('NewToken');
export const decodeTotp = decoder('TotpVerifyAnswer');

const notifyTest = decoder('NotifyTestAnswer');

export const decodeNotify = decoder('Notify');
export const decodeNotifyTest: Decoder<NotifyResult[]> = (v, at) => notifyTest(v, at).results;
