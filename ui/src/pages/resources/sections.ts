// The kinds of things that are watched, in the order they are shown, and where each has its page.

export const SECTIONS = [
  { name: 'host', path: '/host' },
  { name: 'docker', path: '/containers' },
  { name: 'units', path: '/units' },
  { name: 'certificates', path: '/certs' },
  { name: 'urls', path: '/urls' },
  { name: 'repositories', path: '/repos' },
  { name: 'backups', path: '/backups' },
  { name: 'database', path: '/database' },
  { name: 'updater', path: '/updates' },
] as const;

export type SectionName = (typeof SECTIONS)[number]['name'];

export function sectionPath(name: string): string {
  return SECTIONS.find((s) => s.name === name)?.path ?? '/';
}

export function sectionAt(path: string): SectionName | null {
  return SECTIONS.find((s) => s.path === path)?.name ?? null;
}
