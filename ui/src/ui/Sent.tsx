import { statusWords, type Said } from '../i18n/index.ts';

/** What the agent says in English: in the page's language where that is known, else marked as English. */
export function Sent({ said }: { said: Said }) {
  const words = statusWords(said);
  return words === null ? <span lang="en">{said.message}</span> : <>{words}</>;
}
