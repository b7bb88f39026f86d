// What time it is. A browser's clock may be wrong by hours, and what the page is told bears the dashboard's time: so it
// goes by the times of the dashboard's answers where the two are far apart.

/** Less is left alone: an answer says whole seconds, and takes its time to come. */
const NEAR_MS = 5000;

let ahead = 0;

/** The dashboard's clock, in milliseconds since 1970. */
export const dashboardNow = (): number => Date.now() + ahead;

/** An answer's Date. Pure but for what it remembers. */
export function noteDate(date: string | null): void {
  const off = date === null ? NaN : Date.parse(date) - Date.now();
  if (!Number.isNaN(off)) ahead = Math.abs(off) < NEAR_MS ? 0 : off;
}
