export const MOD = /Mac|iPhone|iPad/.test(navigator.platform) ? '⌘' : 'Ctrl ';

export const NAV = [
  { href: '/', icon: 'layout-dashboard', word: 'overview' },
  { href: '/commands', icon: 'terminal', word: 'commands' },
  { href: '/history', icon: 'history', word: 'history' },
  { href: '/settings', icon: 'settings', word: 'settings' },
] as const;
