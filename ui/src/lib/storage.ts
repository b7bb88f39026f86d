// What the browser remembers. Private modes may refuse: then nothing is remembered.

export function load(key: string): string | null {
  try {
    return localStorage.getItem(`ops.${key}`);
  } catch {
    return null;
  }
}

export function save(key: string, value: string): void {
  try {
    localStorage.setItem(`ops.${key}`, value);
  } catch {
    // full or forbidden
  }
}

export function loadJson(key: string): unknown {
  try {
    return JSON.parse(load(key) ?? 'null') as unknown;
  } catch {
    return null;
  }
}
