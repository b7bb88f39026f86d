// What a benchmark may take at most, whatever goes wrong in it: its processes and it itself end when they hold more
// memory than this or take longer, and none of them outlives it.
import fs from 'node:fs';

const LOOK_MS = 500;

/** A process and all below it. */
export function family(pid) {
  let children = '';
  try {
    children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  } catch {
    return []; // it has ended meanwhile
  }
  return [pid, ...children.trim().split(/\s+/).filter(Boolean).flatMap((child) => family(Number(child)))];
}

/** Proportional set size in MB, shared pages divided among their users; 0 when it has ended. */
export function pss(pid) {
  try {
    return (Number(/^Pss:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) * 1024) / 1e6;
  } catch {
    return 0;
  }
}

export class Guard {
  #children = new Set();
  #timer;

  /** When more is held, or it takes longer, `tell` is called and the process exits with 1. */
  constructor({ megabytes, minutes, tell = (why) => console.error(`bench: ${why}; it ends here`) }) {
    const end = Date.now() + minutes * 60_000;
    const die = (why) => {
      tell(why);
      process.exit(1);
    };
    this.#timer = setInterval(() => {
      if (Date.now() > end) die(`it has taken ${minutes} minutes`);
      const held = [process.pid, ...this.#children].flatMap(family).reduce((n, pid) => n + pss(pid), 0);
      if (held > megabytes) die(`its processes hold ${held.toFixed(0)} MB, more than ${megabytes}`);
    }, LOOK_MS);
    this.#timer.unref();
    process.once('exit', this.#kill);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, this.#interrupted);
  }

  /** A process that must not outlive this one. */
  watch(pid) {
    this.#children.add(pid);
  }

  #kill = () => {
    for (const pid of [...this.#children].flatMap(family)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // it has ended by itself
      }
    }
  };

  #interrupted = () => process.exit(130);

  stop() {
    clearInterval(this.#timer);
    this.#kill();
    process.off('exit', this.#kill);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(signal, this.#interrupted);
  }
}
