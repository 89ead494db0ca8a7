/** An estimate of how much an operation asks for, known before anything is run. */
import {
  getNamedType,
  isCompositeType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLOutputType,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';

/** Items that a list without `first` is taken to have. */
const ASSUMED_ITEMS = 10;

/** How many items a list is asked for: a number, or a variable with what counts when it is not given. */
type ListSize = number | { readonly variable: string; readonly otherwise: number };

/** Fields of a selection, and the lists in it whose selections count once per item. */
interface Cost {
  readonly fields: number;
  readonly lists: readonly { readonly size: ListSize; readonly item: Cost }[];
}

const NOTHING: Cost = { fields: 0, lists: [] };

/**
 * The fields that an answer may have: every field counts one, and what is below a list once per item. A list has `first`
 * items, or ten when it takes no `first`; the lists right below a field with `first` are its pages and count as it does.
 * Upper bound of `@skip` and `@include`. Works on operations not validated yet: what the schema does not know counts one.
 */
export class Costs {
  private readonly compiled = new WeakMap<
    OperationDefinitionNode,
    { readonly schema: GraphQLSchema; readonly cost: Cost }
  >();
  private readonly pageTypes = new WeakMap<GraphQLSchema, ReadonlySet<string>>();

  /** @param document one that keeps the limits of limits.ts: those bound the time this takes */
  of(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Readonly<Record<string, unknown>>,
  ): number {
    const known = this.compiled.get(operation);
    if (known?.schema === schema) return evaluate(known.cost, variables);
    const cost = compile(schema, document, operation, this.pageTypesOf(schema));
    this.compiled.set(operation, { schema, cost });
    return evaluate(cost, variables);
  }

  /** Types that a field with `first` gives: connections. */
  private pageTypesOf(schema: GraphQLSchema): ReadonlySet<string> {
    const known = this.pageTypes.get(schema);
    if (known !== undefined) return known;
    const names = new Set<string>();
    for (const type of Object.values(schema.getTypeMap())) {
      if (!isObjectType(type)) continue;
      for (const field of Object.values(type.getFields())) {
        if (takesFirst(field) && !isList(field.type)) names.add(getNamedType(field.type).name);
      }
    }
    this.pageTypes.set(schema, names);
    return names;
  }
}

function evaluate({ fields, lists }: Cost, variables: Readonly<Record<string, unknown>>): number {
  let sum = fields;
  for (const { size, item } of lists) sum += sizeOf(size, variables) * evaluate(item, variables);
  return sum;
}

function sizeOf(size: ListSize, variables: Readonly<Record<string, unknown>>): number {
  if (typeof size === 'number') return size;
  const given = variables[size.variable];
  return isInt(given) ? Math.max(0, given) : size.otherwise;
}

/** What is no Int is refused by name when variables are coerced; here it would hide behind a cost. */
const isInt = (value: unknown): value is number => Number.isInteger(value) && Math.abs(value as number) < 2 ** 31;

function compile(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  pageTypes: ReadonlySet<string>,
): Cost {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  // A fragment costs nothing while it is being measured, so that cycles end here; validation refuses them by name.
  const measured = new Map<string, Cost>();

  const costOfFragment = (name: string): Cost => {
    const known = measured.get(name);
    if (known !== undefined) return known;
    measured.set(name, NOTHING);
    const fragment = fragments.get(name);
    const cost =
      fragment === undefined ? NOTHING : costOf(fragment.selectionSet, typeNamed(fragment.typeCondition.name.value));
    measured.set(name, cost);
    return cost;
  };

  const typeNamed = (name: string): GraphQLCompositeType | undefined => {
    const type = schema.getType(name);
    return isCompositeType(type) ? type : undefined;
  };

  const costOf = ({ selections }: SelectionSetNode, parent: GraphQLCompositeType | undefined): Cost => {
    let fields = 0;
    const lists: { size: ListSize; item: Cost }[] = [];
    for (const selection of selections) {
      if (selection.kind !== Kind.FIELD) {
        const inner =
          selection.kind === Kind.FRAGMENT_SPREAD
            ? costOfFragment(selection.name.value)
            : costOf(
                selection.selectionSet,
                selection.typeCondition === undefined ? parent : typeNamed(selection.typeCondition.name.value),
              );
        fields += inner.fields;
        lists.push(...inner.lists);
        continue;
      }
      fields += 1;
      if (selection.selectionSet === undefined) continue;
      const field = fieldOf(parent, selection.name.value);
      const item = costOf(selection.selectionSet, compositeOf(field?.type));
      const size = field === undefined ? 1 : listSize(field, selection, parent, operation, pageTypes);
      if (size === 1) {
        fields += item.fields;
        lists.push(...item.lists);
      } else {
        lists.push({ size, item });
      }
    }
    return { fields, lists };
  };

  const root = schema.getRootType(operation.operation);
  return costOf(operation.selectionSet, root ?? undefined);
}

const takesFirst = ({ args }: GraphQLField<unknown, unknown>): boolean => args.some(({ name }) => name === 'first');

const isList = (type: GraphQLOutputType): boolean => isListType(isNonNullType(type) ? type.ofType : type);

function compositeOf(type: GraphQLOutputType | undefined): GraphQLCompositeType | undefined {
  const named = type === undefined ? undefined : getNamedType(type);
  return isCompositeType(named) ? named : undefined;
}

function fieldOf(parent: GraphQLCompositeType | undefined, name: string): GraphQLField<unknown, unknown> | undefined {
  return parent !== undefined && 'getFields' in parent ? parent.getFields()[name] : undefined;
}

function listSize(
  field: GraphQLField<unknown, unknown>,
  node: FieldNode,
  parent: GraphQLCompositeType | undefined,
  operation: OperationDefinitionNode,
  pageTypes: ReadonlySet<string>,
): ListSize {
  const first = field.args.find(({ name }) => name === 'first');
  if (first === undefined) {
    return isList(field.type) && !(parent !== undefined && pageTypes.has(parent.name)) ? ASSUMED_ITEMS : 1;
  }
  const byDefault = typeof first.defaultValue === 'number' ? first.defaultValue : ASSUMED_ITEMS;
  const value = node.arguments?.find(({ name }) => name.value === 'first')?.value;
  if (value === undefined) return byDefault;
  if (value.kind === Kind.INT && isInt(Number(value.value))) return Math.max(0, Number(value.value));
  if (value.kind !== Kind.VARIABLE) return byDefault;
  const variable = value.name.value;
  const declared = operation.variableDefinitions?.find((one) => one.variable.name.value === variable)?.defaultValue;
  return { variable, otherwise: declared?.kind === Kind.INT ? Number(declared.value) : byDefault };
}
