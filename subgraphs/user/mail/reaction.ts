import { inboxIdOf } from '../../../shared/reactions/message.js';
import { reaction, type Reaction } from '../../../shared/reactions/reaction.js';
import { MAILED, occasionOf } from './kinds.js';
import { rowFor, type Mails } from './mails.js';

/** Permanent name of a consumer group, and of whose dead letters mails become: a new one would read everything again. */
export const MAIL = 'user.mail';

/** In a stream of events. The first after a quiet time waits for nothing. */
const PACE_MS = 250;

/** Asks for a mail about every event that somebody is to be told of; the worker sends it. */
export const requestMails = (mails: Mails, now: () => number): Reaction =>
  reaction({
    consumer: MAIL,
    topics: ['users', 'orders'],
    paceMs: PACE_MS,
    types: [...MAILED],
    async handle(tx, events, records) {
      const since = await mails.mailedSince(tx);
      const at = now();
      const rows = events.flatMap((event, index) => {
        const record = records[index];
        if (record === undefined || event.time < since) return [];
        return [rowFor(occasionOf(event), { eventId: inboxIdOf(event), record, at })];
      });
      await mails.request(tx, rows);
    },
  });
