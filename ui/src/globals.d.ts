// Put in by build.mjs.
declare const __SPRITE__: string;
declare const __WORKER__: string;
declare const __ICONS__: Record<'idle' | 'running' | 'waiting' | 'ok' | 'failed', string>;
declare const __VERSION__: string;
