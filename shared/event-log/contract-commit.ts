import { expect } from '@jest/globals';
import { until } from '../../tests/until.js';
import { caughtUp, inbox, newGroup, recs, type Suite } from './contract-tools.js';

/** What a group stores elsewhere before it commits. */
export function commitContract(suite: Suite): void {
  suite.promise('nothing is committed until beforeCommit resolves, which is asked after the calls', async () => {
    const topic = await suite.newTopic();
    const box = inbox();
    const handledWhenAsked: number[] = [];
    let refuses = true;
    const member = await suite.join(newGroup(), topic, box, {
      beforeCommit: async () => {
        handledWhenAsked.push(box.records.length);
        if (refuses) throw new Error('It is not stored yet.');
      },
    });
    await suite.log.append(recs(topic, 20));
    await until(() => handledWhenAsked.length > 1, { message: 'beforeCommit to be asked again' });
    expect(Math.min(...handledWhenAsked)).toBeGreaterThan(0);
    const lag = (await member.lag()).reduce((sum, one) => sum + one.lag, 0);
    expect(lag).toBe(20);
    refuses = false;
    await caughtUp(member);
    await member.stop();
  });
}
