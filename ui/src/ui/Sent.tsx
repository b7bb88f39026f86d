import { statusWords } from '../i18n/index.ts';

/** What the agent says in English: in the page's language where that is known, else marked as English. */
export function Sent({ section, text }: { section: string; text: string }) {
  const words = statusWords(section, text);
  return words === null ? <span lang="en">{text}</span> : <>{words}</>;
}
