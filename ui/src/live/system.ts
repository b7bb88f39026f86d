// The topic `system`: how the parts of the dashboard are.

import { bool, list, num, object, oneOf, or, shape, str, type Decoder } from '../api/decode.ts';
import { WORDS, type AgentPartState } from '../api/document.gen.ts';
import { decoder } from '../api/documents.ts';

/** One machine, and how its agent is. */
export interface HostState {
  /** What its agent calls it. */
  host: string;
  /** What people call it; '' when nobody said. */
  title: string;
  /** What is meant when no host is named. */
  primary: boolean;
  state: AgentPartState;
  /** Since when; 0 when that is not known. */
  since_us: number;
  reason: string;
}

export interface System {
  version: string;
  bootId: string;
  /** The build of the page that the daemon serves; '' when it does not say. */
  assets: string;
  /** The primary host. */
  host: string;
  /** The primary one first. A dashboard of one machine has one. */
  agents: HostState[];
  history: { down: boolean; catchingUp: boolean };
}

const system = decoder('System');

const agents = or(
  list(
    shape<HostState>({
      host: str,
      title: or(str, ''),
      primary: or(bool, false),
      state: oneOf(WORDS.AgentPartState, 'connecting'),
      since_us: or(num, 0),
      reason: or(str, ''),
    }),
  ),
  [],
);

export const decodeSystem: Decoder<System> = (v, at) => {
  const s = system(v, at);
  // One that nobody gave a title bears its name as its title.
  const several = agents(object(v, at)['agents'], `${at}.agents`).map((a) => (a.title === a.host ? { ...a, title: '' } : a));
  const host = s.agent.host || s.host;
  const down = s.database.state === 'down';
  return {
    version: s.version,
    bootId: s.boot_id,
    assets: s.assets,
    host,
    agents: several.length > 0 ? several : [{ host, title: '', primary: true, state: s.agent.state, since_us: s.agent.since_us, reason: s.agent.reason }],
    history: { down, catchingUp: down || s.archiver.catching_up },
  };
};

export const isAway = (h: HostState): boolean => h.state === 'away' || h.state === 'refused';
