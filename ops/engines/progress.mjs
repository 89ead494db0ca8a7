/** Tells people what is going on: a line per step, with the seconds since the beginning, and one now and then in between. */
import { clearInterval, setInterval } from 'node:timers';

const STILL_EVERY_MS = 15_000;

export function createProgress(print) {
  const begun = performance.now();
  const doing = new Map();
  const seconds = () => `${Math.round((performance.now() - begun) / 1_000)} s`.padStart(6);
  const line = (part, text) => print(`${seconds()}  ${part.padEnd(8)} ${text}`);
  const timer = setInterval(() => {
    for (const [part, { text, since }] of doing) {
      line(part, `still: ${text} (${Math.round((performance.now() - since) / 1_000)} s)`);
    }
  }, STILL_EVERY_MS);
  timer.unref();
  return {
    step(part, text) {
      doing.set(part, { text, since: performance.now() });
      line(part, text);
    },
    done(part, text) {
      doing.delete(part);
      line(part, text);
    },
    end: () => clearInterval(timer),
  };
}
