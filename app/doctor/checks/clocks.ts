import { TOPICS } from '../../../shared/events/catalogue.js';
import { NotChecked, ok, problem, warning, type Check, type Finding } from '../check.js';
import type { Clock } from '../stores.js';
import type { Subject } from '../subject.js';
import { eachOf } from './each.js';

const area = 'clocks';

/** Processes that differ by more than the second refuse each other's signatures. */
const NOTEWORTHY_MS = 1_000;
const INTOLERABLE_MS = 5_000;

const REMEDY = 'Keep the clocks of all machines right, with chrony or systemd-timesyncd.';

const servers: Check = {
  name: 'clocks',
  area,
  async run(subject) {
    const { clocks } = await subject.stores();
    if (clocks.length === 0) throw new NotChecked('there is one clock only, this machine’s');
    return eachOf(clocks, async (clock) => difference(clock, subject));
  },
};

async function difference(clock: Clock, { now }: Subject): Promise<Finding> {
  const { title } = clock;
  const before = now();
  let theirs: number;
  try {
    theirs = await clock.read();
  } catch (error) {
    throw new NotChecked(`${title} does not tell its time`, { cause: error });
  }
  const after = now();
  if (!Number.isFinite(theirs)) throw new NotChecked(`${title} does not tell its time`);
  // It was read at some moment of the question: what that may explain does not count.
  const off = theirs > after ? theirs - after : theirs < before ? theirs - before : 0;
  return clockFinding(`the clock of ${title} is`, off);
}

function clockFinding(whose: string, off: number): Finding {
  const size = Math.abs(off);
  if (size <= NOTEWORTHY_MS) return ok(`${whose} right, to a second`);
  const what = `${whose} ${(size / 1_000).toFixed(1)} s ${off > 0 ? 'ahead of' : 'behind'} this machine’s`;
  return size > INTOLERABLE_MS ? problem(what, REMEDY) : warning(what, REMEDY);
}

const records: Check = {
  name: 'record times',
  area,
  async run(subject) {
    const log = await subject.eventLog();
    const there = await log.topics();
    const topics = Object.keys(TOPICS).filter((name) => there.has(name));
    const ahead = await log.ahead(topics, subject.now());
    if (ahead <= NOTEWORTHY_MS) return [ok('no event comes from the future')];
    const what = `events bear times ${(ahead / 1_000).toFixed(0)} s or more after this machine’s clock: that of a worker is ahead, or this one is behind`;
    return [ahead > INTOLERABLE_MS ? problem(what, REMEDY) : warning(what, REMEDY)];
  },
};

export const clocks: readonly Check[] = [servers, records];
