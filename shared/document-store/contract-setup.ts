import { randomUUID } from 'node:crypto';
import type { DocumentStore, Versioned } from './port.js';

/** What the parts of the contract share. Getters, since both exist only once the tests run. */
export interface Setup {
  readonly store: DocumentStore;
  /** The collection of the test at hand, with `INDEXES`. */
  readonly at: string;
  readonly propertyRuns: number;
}

export const INDEXES = [
  { fields: ['owner', 'rank'] },
  { fields: ['rank'] },
  { fields: ['name'] },
  { fields: ['inner.label'] },
];

export const unique = (): string => `things_${randomUUID()}`;

export const item = <D>(key: string, version: number, doc: D): Versioned<D> => ({ id: key, version, doc });
