import type { Step } from '../../api/types.ts';

export const wentWrong = (s: Step): boolean => s.status === 'failed' || s.status === 'timed_out' || s.status === 'lost';
