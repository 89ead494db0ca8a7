import { getOperationAST, GraphQLError, parse, type DocumentNode, type OperationDefinitionNode } from 'graphql';
import { LIMITS, overLimit } from './limits.js';

/** Documents kept, and characters of source in all of them; an AST is some fifty times its source. */
const MAX_DOCUMENTS = 500;
const MAX_CHARACTERS = 1_000_000;
/** Longer sources are parsed every time. */
const MAX_KEPT_SOURCE = 20_000;

/** An operation that keeps the limits, not yet validated. */
export interface ParsedOperation {
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
}

/** Parses and measures what clients send, over HTTP and over WebSockets alike, and remembers what was fine. */
export class Documents {
  private readonly documents = new Map<string, DocumentNode>();
  private characters = 0;

  /** @throws GraphQLError for what cannot be parsed, is over a limit, or has no operation of that name. */
  parse(source: string, operationName: string | null | undefined): ParsedOperation {
    const document = this.documents.get(source) ?? this.read(source);
    const operation = getOperationAST(document, operationName);
    if (operation != null) return { document, operation };
    const message =
      operationName == null || operationName === ''
        ? 'Name the operation to run: the document does not have exactly one.'
        : `The document has no operation named "${operationName}".`;
    throw new GraphQLError(message, { extensions: { code: 'VALIDATION', field: 'operationName' } });
  }

  private read(source: string): DocumentNode {
    const document = parse(source, { maxLexicalTokens: LIMITS.tokens });
    const error = overLimit(document);
    if (error !== undefined) throw error;
    if (source.length <= MAX_KEPT_SOURCE) this.keep(source, document);
    return document;
  }

  private keep(source: string, document: DocumentNode): void {
    this.documents.set(source, document);
    this.characters += source.length;
    for (const oldest of this.documents.keys()) {
      if (this.documents.size <= MAX_DOCUMENTS && this.characters <= MAX_CHARACTERS) break;
      this.documents.delete(oldest);
      this.characters -= oldest.length;
    }
  }
}
