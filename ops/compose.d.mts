/** A subgraph as composition takes it. */
export interface SubgraphSource {
  readonly name: string;
  /** Address at which the gateway finds it. */
  readonly url: string;
  readonly sdl: string;
}

/** @throws Error with a line per mistake when the subgraphs do not fit together. */
export function composeSupergraph(subgraphs: readonly SubgraphSource[]): string;

/** The subgraphs that a supergraph.yaml names. */
export function readSubgraphs(file?: string): Promise<SubgraphSource[]>;
