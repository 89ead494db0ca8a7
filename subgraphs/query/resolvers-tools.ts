import { afterEach, beforeEach } from '@jest/globals';
import type { AnyEvent } from '../../shared/events/event.js';
import { openTestbed, type Testbed, type TestbedOptions } from './testbed.js';
import { project } from './views.js';

/** For tests that ask the graph's queries: testbeds that are closed again, views without a projector. */

/** What a list answers, as far as most tests look at it. */
export interface Page {
  readonly nodes: readonly { readonly id: string }[];
  readonly totalCount: number;
}

/** What the gateway asks where another subgraph points at things: `$keys` are their type, id and version. */
export const ENTITIES = `query ($keys: [_Any!]!) {
  _entities(representations: $keys) {
    ... on User { id name } ... on Product { id name } ... on Order { id status } ... on Account { id balance }
  }
}`;

/** Opens testbeds for the tests of the file that calls it, and closes each after the test that asked for it. */
export function testbeds(): (options?: TestbedOptions) => Promise<Testbed> {
  let open: Testbed[] = [];

  beforeEach(() => {
    open = [];
  });

  afterEach(async () => {
    for (const bed of open) await bed.close();
  });

  return async (options = {}) => {
    const bed = await openTestbed(options);
    open.push(bed);
    return bed;
  };
}

/** Straight into the views, as the projector would. */
export async function view(bed: Testbed, ...events: readonly AnyEvent[]): Promise<void> {
  for (const { collection, ...doc } of events.flatMap(project)) await bed.documents.putIfNewer(collection, [doc]);
}
