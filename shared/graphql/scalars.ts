import { GraphQLScalarType, Kind, valueFromASTUntyped, type ValueNode } from 'graphql';
import { AppError } from '../errors/errors.js';
import { formatAmount, parseAmount } from '../money/money.js';

// A scalar does not know which field it stands in: errors.ts puts the field's path in place of this.
const FIELD = 'value';

/** Amounts: integer cents inside, `"5999.99"` outside. Strings and numbers with at most two places are accepted. */
const Decimal = new GraphQLScalarType<number, string>({
  name: 'Decimal',
  serialize: (cents) => {
    if (!Number.isSafeInteger(cents))
      throw new TypeError(`Decimal cannot represent ${String(cents)}: not whole cents.`);
    return formatAmount(cents as number);
  },
  parseValue: (value) => parseAmount(value, FIELD),
  // Digits as the client wrote them: a detour through a JavaScript number could change them.
  parseLiteral: (node) => parseAmount(hasText(node) ? node.value : null, FIELD),
});

/** Instants: milliseconds since the epoch inside, ISO 8601 text in UTC outside. */
const DateTime = new GraphQLScalarType<number, string>({
  name: 'DateTime',
  serialize: (ms) => {
    if (!Number.isSafeInteger(ms)) throw new TypeError(`DateTime cannot represent ${String(ms)}: not milliseconds.`);
    return new Date(ms as number).toISOString();
  },
  parseValue: parseInstant,
  parseLiteral: (node) => parseInstant(node.kind === Kind.STRING ? node.value : null),
});

const Json = new GraphQLScalarType({
  name: 'JSON',
  serialize: (value) => value,
  parseValue: (value) => value,
  parseLiteral: valueFromASTUntyped,
});

/** Every scalar of ours; a schema takes those it declares. */
export const SCALARS = { Decimal, DateTime, JSON: Json } as const;

const hasText = (node: ValueNode) => node.kind === Kind.STRING || node.kind === Kind.INT || node.kind === Kind.FLOAT;

const INSTANT = /^(\d{4})-(\d\d)-(\d\d)T\d\d:\d\d:\d\d(?:\.\d{1,3})?(?:Z|[+-]\d\d:\d\d)$/;

/** @throws AppError VALIDATION: a zone is required, and 31 February is no day. */
function parseInstant(value: unknown): number {
  const [text = '', year, month, day] = (typeof value === 'string' && INSTANT.exec(value)) || [];
  const ms = Date.parse(text);
  const dayOfMonth = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day))).getUTCDate();
  if (Number.isNaN(ms) || dayOfMonth !== Number(day)) {
    throw new AppError('VALIDATION', 'An instant is ISO 8601 with a zone, such as "2026-01-31T12:00:00.000Z".', {
      field: FIELD,
    });
  }
  return ms;
}
