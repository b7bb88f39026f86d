export const MOD = typeof navigator !== 'undefined' && /Mac|iPhone|iPad/.test(navigator.platform) ? '⌘' : 'Ctrl ';

/** The pages. `wide`: on a phone it is behind More. */
export const NAV = [
  { href: '/', icon: 'layout-dashboard', word: 'overview', wide: false },
  { href: '/commands', icon: 'terminal', word: 'commands', wide: false },
  { href: '/history', icon: 'history', word: 'history', wide: false },
  { href: '/schedule', icon: 'calendar-clock', word: 'schedule', wide: true },
  { href: '/audit', icon: 'scroll-text', word: 'audit', wide: true },
  { href: '/settings', icon: 'settings', word: 'settings', wide: true },
] as const;
