// The topic `system`: how the parts of the dashboard are.

export interface System {
  version: string;
  bootId: string;
  /** The build of the page that the daemon serves; '' when it does not say. */
  assets: string;
  host: string;
  agent: { connected: boolean; away: boolean; refused: boolean; sinceUs: number; reason: string };
  history: { down: boolean; catchingUp: boolean };
}

function part(v: unknown): Record<string, unknown> {
  return typeof v === 'object' && v !== null && !Array.isArray(v) ? (v as Record<string, unknown>) : {};
}
const word = (v: unknown): string => (typeof v === 'string' ? v : '');
const count = (v: unknown): number => (typeof v === 'number' ? v : 0);

/** Reads a document as it is; what it does not say counts as well. */
export function readSystem(data: unknown): System {
  const o = part(data);
  const agent = part(o['agent']);
  const database = part(o['database']);
  const archiver = part(o['archiver']);
  const agentState = word(agent['state']);
  const down = word(database['state']) === 'down';
  return {
    version: word(o['version']),
    bootId: word(o['boot_id']),
    assets: word(o['assets']),
    host: word(agent['host']) || word(o['host']),
    agent: {
      connected: agentState === 'connected',
      away: agentState === 'away' || agentState === 'refused',
      refused: agentState === 'refused',
      sinceUs: count(agent['since_us']),
      reason: word(agent['reason']),
    },
    history: { down, catchingUp: down || archiver['catching_up'] === true },
  };
}
