/** A subgraph as composition takes it. */
export interface SubgraphSource {
  readonly name: string;
  /** Address at which the gateway finds it. */
  readonly url: string;
  readonly sdl: string;
  /** Its graphql-ws endpoint, where that is not the same address under ws:. */
  readonly websocketUrl?: string;
  /** Where the schema was read, for messages. */
  readonly file?: string;
}

/**
 * The supergraph, and what its author should know, a text each.
 * @throws Error with a line per mistake when the subgraphs do not fit together
 */
export function compose(subgraphs: readonly SubgraphSource[]): {
  readonly supergraphSdl: string;
  readonly hints: readonly string[];
};

/** The supergraph alone. Throws as `compose`. */
export function composeSupergraph(subgraphs: readonly SubgraphSource[]): string;

/** The subgraphs that a supergraph.yaml names. @throws Error with a line per mistake */
export function readSubgraphs(file?: string): Promise<SubgraphSource[]>;

/** What clients and the gateway see differently from one supergraph to another, a line each. */
export function changes(before: string, after: string): string[];
