import type { CommandContext } from '../commands/commands.js';

/** What every resolver of every subgraph gets; subgraphs add their own. */
export type RequestContext = CommandContext;
