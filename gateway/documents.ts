import { getOperationAST, GraphQLError, parse, type OperationDefinitionNode } from 'graphql';
import { LIMITS, measure, type MeasuredDocument } from './limits.js';

/** Documents kept, and characters of source in all of them; an AST is some fifty times its source. */
const MAX_DOCUMENTS = 500;
const MAX_CHARACTERS = 1_000_000;
/** Longer sources are parsed every time. */
const MAX_KEPT_SOURCE = 20_000;

/** An operation that keeps the limits, not yet validated. */
export interface ParsedOperation extends MeasuredDocument {
  readonly operation: OperationDefinitionNode;
}

/** Parses and measures what clients send, whichever way, and remembers what was fine; what was not used for longest goes first. */
export class Documents {
  private readonly documents = new Map<string, MeasuredDocument>();
  private characters = 0;

  /** @throws GraphQLError for what cannot be parsed, is over a limit, or has no operation of that name. */
  parse(source: string, operationName: string | null | undefined): ParsedOperation {
    const measured = this.known(source) ?? this.read(source);
    const operation = getOperationAST(measured.document, operationName);
    if (operation != null) return { ...measured, operation };
    const message =
      operationName == null || operationName === ''
        ? 'Name the operation to run: the document does not have exactly one.'
        : `The document has no operation named "${operationName}".`;
    throw new GraphQLError(message, { extensions: { code: 'VALIDATION', field: 'operationName' } });
  }

  private known(source: string): MeasuredDocument | undefined {
    const known = this.documents.get(source);
    if (known === undefined) return undefined;
    this.documents.delete(source);
    this.documents.set(source, known);
    return known;
  }

  private read(source: string): MeasuredDocument {
    const measured = measure(parse(source, { maxLexicalTokens: LIMITS.tokens }));
    if (source.length <= MAX_KEPT_SOURCE) this.keep(source, measured);
    return measured;
  }

  private keep(source: string, measured: MeasuredDocument): void {
    this.documents.set(source, measured);
    this.characters += source.length;
    for (const oldest of this.documents.keys()) {
      if (this.documents.size <= MAX_DOCUMENTS && this.characters <= MAX_CHARACTERS) break;
      this.documents.delete(oldest);
      this.characters -= oldest.length;
    }
  }
}
