// Generated from schema.graphql by `npm run codegen`. Do not edit.
import type { GraphQLResolveInfo, GraphQLScalarType, GraphQLScalarTypeConfig } from 'graphql';
import type { ProductState } from '../../../shared/events/states.js';
import type { RequestContext } from '../../../shared/graphql/context.js';
export type Maybe<T> = T | null;
export type InputMaybe<T> = T | null | undefined;
export type Omit<T, K extends keyof T> = Pick<T, Exclude<keyof T, K>>;
export type RequireFields<T, K extends keyof T> = Omit<T, K> & { [P in K]-?: NonNullable<T[P]> };
/** All built-in and custom scalars, mapped to their actual values */
export type Scalars = {
  ID: { input: string; output: string; }
  String: { input: string; output: string; }
  Boolean: { input: boolean; output: boolean; }
  Int: { input: number; output: number; }
  Float: { input: number; output: number; }
  /** An exact amount with two places as text, such as "5999.99". Numbers are accepted on input. */
  Decimal: { input: number; output: number; }
  /** An instant as ISO 8601 text in UTC, such as 2026-01-31T12:00:00.000Z. */
  DateTime: { input: number; output: number; }
  _FieldSet: { input: string; output: string; }
};

/** Something that can be ordered. */
export type Product = {
  /** A UUID. */
  readonly id: Scalars['ID']['output'];
  /** Rises by one with every change, stock included. */
  readonly version: Scalars['Int']['output'];
  /** What it is called. */
  readonly name: Scalars['String']['output'];
  /** What it is. */
  readonly description: Scalars['String']['output'];
  /** Price of one piece. */
  readonly price: Scalars['Decimal']['output'];
  /** Pieces on hand, reserved ones included. */
  readonly stock: Scalars['Int']['output'];
  /** Pieces promised to open orders. */
  readonly reserved: Scalars['Int']['output'];
  /** Pieces that can still be ordered. */
  readonly available: Scalars['Int']['output'];
  /** When the product was created. */
  readonly createdAt: Scalars['DateTime']['output'];
  /** When the product last changed. */
  readonly updatedAt: Scalars['DateTime']['output'];
};

/** What can be changed. Each call is one transaction: it happens as a whole or not at all. */
export type Mutation = {
  /** Creates a product. Administrators only. */
  readonly createProduct: ProductPayload;
  /** Changes name, description, price or stock; what is left out stays. Administrators only. */
  readonly updateProduct: ProductPayload;
  /** Takes a product without reservations out of the catalogue. Administrators only. */
  readonly deleteProduct: DeletePayload;
};


/** What can be changed. Each call is one transaction: it happens as a whole or not at all. */
export type MutationCreateProductArgs = {
  input: CreateProductInput;
};


/** What can be changed. Each call is one transaction: it happens as a whole or not at all. */
export type MutationUpdateProductArgs = {
  input: UpdateProductInput;
};


/** What can be changed. Each call is one transaction: it happens as a whole or not at all. */
export type MutationDeleteProductArgs = {
  input: DeleteProductInput;
};

/** A new product. */
export type CreateProductInput = {
  /** What it is called, 1 to 200 characters. */
  readonly name: Scalars['String']['input'];
  /** What it is, up to 5,000 characters. */
  readonly description?: InputMaybe<Scalars['String']['input']>;
  /** Price of one piece, 0.00 to 10,000,000.00. */
  readonly price: Scalars['Decimal']['input'];
  /** Pieces on hand, 0 to 1,000,000,000. */
  readonly stock: Scalars['Int']['input'];
  /** Repeats of the call with the same key answer the first success and do nothing. */
  readonly idempotencyKey?: InputMaybe<Scalars['String']['input']>;
};

/** Changes to a product. */
export type UpdateProductInput = {
  /** Which product. */
  readonly id: Scalars['ID']['input'];
  /** New name. */
  readonly name?: InputMaybe<Scalars['String']['input']>;
  /** New description. */
  readonly description?: InputMaybe<Scalars['String']['input']>;
  /** New price of one piece. */
  readonly price?: InputMaybe<Scalars['Decimal']['input']>;
  /** New number of pieces on hand, not below what is reserved. */
  readonly stock?: InputMaybe<Scalars['Int']['input']>;
  /** The version the change is meant for; CONFLICT when another is there. */
  readonly expectedVersion?: InputMaybe<Scalars['Int']['input']>;
  /** Repeats of the call with the same key answer the first success and do nothing. */
  readonly idempotencyKey?: InputMaybe<Scalars['String']['input']>;
};

/** Which product to delete. */
export type DeleteProductInput = {
  /** Which product. */
  readonly id: Scalars['ID']['input'];
  /** The version the deletion is meant for; CONFLICT when another is there. */
  readonly expectedVersion?: InputMaybe<Scalars['Int']['input']>;
  /** Repeats of the call with the same key answer the first success and do nothing. */
  readonly idempotencyKey?: InputMaybe<Scalars['String']['input']>;
};

/** The product after the mutation. */
export type ProductPayload = {
  /** As the write model has it. */
  readonly product: Product;
};

/** What was deleted. */
export type DeletePayload = {
  /** Its id. */
  readonly id: Scalars['ID']['output'];
};



export type ResolverTypeWrapper<T> = Promise<T> | T;

export type ReferenceResolver<TResult, TReference, TContext> = (
      reference: TReference,
      context: TContext,
      info: GraphQLResolveInfo
    ) => Promise<TResult> | TResult;

      type ScalarCheck<T, S> = S extends true ? T : NullableCheck<T, S>;
      type NullableCheck<T, S> = Maybe<T> extends T ? Maybe<ListCheck<NonNullable<T>, S>> : ListCheck<T, S>;
      type ListCheck<T, S> = T extends (infer U)[] ? NullableCheck<U, S>[] : GraphQLRecursivePick<T, S>;
      export type GraphQLRecursivePick<T, S> = { [K in keyof T & keyof S]: ScalarCheck<T[K], S[K]> };
    
export type Resolver<TResult, TParent = Record<PropertyKey, never>, TContext = Record<PropertyKey, never>, TArgs = Record<PropertyKey, never>> = ResolverFn<TResult, TParent, TContext, TArgs>;

export type ResolverFn<TResult, TParent, TContext, TArgs> = (
  parent: TParent,
  args: TArgs,
  context: TContext,
  info: GraphQLResolveInfo
) => Promise<TResult> | TResult;

export type SubscriptionSubscribeFn<TResult, TParent, TContext, TArgs> = (
  parent: TParent,
  args: TArgs,
  context: TContext,
  info: GraphQLResolveInfo
) => AsyncIterable<TResult> | Promise<AsyncIterable<TResult>>;

export type SubscriptionResolveFn<TResult, TParent, TContext, TArgs> = (
  parent: TParent,
  args: TArgs,
  context: TContext,
  info: GraphQLResolveInfo
) => TResult | Promise<TResult>;

export interface SubscriptionSubscriberObject<TResult, TKey extends string, TParent, TContext, TArgs> {
  subscribe: SubscriptionSubscribeFn<{ [key in TKey]: TResult }, TParent, TContext, TArgs>;
  resolve?: SubscriptionResolveFn<TResult, { [key in TKey]: TResult }, TContext, TArgs>;
}

export interface SubscriptionResolverObject<TResult, TParent, TContext, TArgs> {
  subscribe: SubscriptionSubscribeFn<any, TParent, TContext, TArgs>;
  resolve: SubscriptionResolveFn<TResult, any, TContext, TArgs>;
}

export type SubscriptionObject<TResult, TKey extends string, TParent, TContext, TArgs> =
  | SubscriptionSubscriberObject<TResult, TKey, TParent, TContext, TArgs>
  | SubscriptionResolverObject<TResult, TParent, TContext, TArgs>;

export type SubscriptionResolver<TResult, TKey extends string, TParent = Record<PropertyKey, never>, TContext = Record<PropertyKey, never>, TArgs = Record<PropertyKey, never>> =
  | ((...args: any[]) => SubscriptionObject<TResult, TKey, TParent, TContext, TArgs>)
  | SubscriptionObject<TResult, TKey, TParent, TContext, TArgs>;

export type TypeResolveFn<TTypes, TParent = Record<PropertyKey, never>, TContext = Record<PropertyKey, never>> = (
  parent: TParent,
  context: TContext,
  info: GraphQLResolveInfo
) => Maybe<TTypes> | Promise<Maybe<TTypes>>;

export type IsTypeOfResolverFn<T = Record<PropertyKey, never>, TContext = Record<PropertyKey, never>> = (obj: T, context: TContext, info: GraphQLResolveInfo) => boolean | Promise<boolean>;

export type NextResolverFn<T> = () => Promise<T>;

export type DirectiveResolverFn<TResult = Record<PropertyKey, never>, TParent = Record<PropertyKey, never>, TContext = Record<PropertyKey, never>, TArgs = Record<PropertyKey, never>> = (
  next: NextResolverFn<TResult>,
  parent: TParent,
  args: TArgs,
  context: TContext,
  info: GraphQLResolveInfo
) => TResult | Promise<TResult>;

/** Mapping of federation types */
export type FederationTypes = {
  Product: Product;
};

/** Mapping of federation reference types */
export type FederationReferenceTypes = {
  Product:
    ( { __typename: 'Product' }
    & ( GraphQLRecursivePick<FederationTypes['Product'], {"id":true}>
        | GraphQLRecursivePick<FederationTypes['Product'], {"id":true,"version":true}> ) );
};



/** Mapping between all available schema types and the resolvers types */
export type ResolversTypes = {
  Decimal: ResolverTypeWrapper<Scalars['Decimal']['output']>;
  DateTime: ResolverTypeWrapper<Scalars['DateTime']['output']>;
  Product: ResolverTypeWrapper<ProductState>;
  ID: ResolverTypeWrapper<Scalars['ID']['output']>;
  Int: ResolverTypeWrapper<Scalars['Int']['output']>;
  String: ResolverTypeWrapper<Scalars['String']['output']>;
  Mutation: ResolverTypeWrapper<Record<PropertyKey, never>>;
  CreateProductInput: CreateProductInput;
  UpdateProductInput: UpdateProductInput;
  DeleteProductInput: DeleteProductInput;
  ProductPayload: ResolverTypeWrapper<Omit<ProductPayload, 'product'> & { product: ResolversTypes['Product'] }>;
  DeletePayload: ResolverTypeWrapper<DeletePayload>;
  Boolean: ResolverTypeWrapper<Scalars['Boolean']['output']>;
};

/** Mapping between all available schema types and the resolvers parents */
export type ResolversParentTypes = {
  Decimal: Scalars['Decimal']['output'];
  DateTime: Scalars['DateTime']['output'];
  Product: ProductState;
  ID: Scalars['ID']['output'];
  Int: Scalars['Int']['output'];
  String: Scalars['String']['output'];
  Mutation: Record<PropertyKey, never>;
  CreateProductInput: CreateProductInput;
  UpdateProductInput: UpdateProductInput;
  DeleteProductInput: DeleteProductInput;
  ProductPayload: Omit<ProductPayload, 'product'> & { product: ResolversParentTypes['Product'] };
  DeletePayload: DeletePayload;
  Boolean: Scalars['Boolean']['output'];
};

export interface DecimalScalarConfig extends GraphQLScalarTypeConfig<ResolversTypes['Decimal'], any> {
  name: 'Decimal';
}

export interface DateTimeScalarConfig extends GraphQLScalarTypeConfig<ResolversTypes['DateTime'], any> {
  name: 'DateTime';
}

export type ProductResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['Product'] = ResolversParentTypes['Product'], FederationReferenceType extends FederationReferenceTypes['Product'] = FederationReferenceTypes['Product']> = {
  __resolveReference?: ReferenceResolver<Maybe<ResolversTypes['Product']> | FederationReferenceType, FederationReferenceType, ContextType>;
  id?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  version?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  name?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  description?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  price?: Resolver<ResolversTypes['Decimal'], ParentType, ContextType>;
  stock?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  reserved?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  available?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  createdAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  updatedAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
};

export type MutationResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['Mutation'] = ResolversParentTypes['Mutation']> = {
  createProduct?: Resolver<ResolversTypes['ProductPayload'], ParentType, ContextType, RequireFields<MutationCreateProductArgs, 'input'>>;
  updateProduct?: Resolver<ResolversTypes['ProductPayload'], ParentType, ContextType, RequireFields<MutationUpdateProductArgs, 'input'>>;
  deleteProduct?: Resolver<ResolversTypes['DeletePayload'], ParentType, ContextType, RequireFields<MutationDeleteProductArgs, 'input'>>;
};

export type ProductPayloadResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['ProductPayload'] = ResolversParentTypes['ProductPayload']> = {
  product?: Resolver<ResolversTypes['Product'], ParentType, ContextType>;
};

export type DeletePayloadResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['DeletePayload'] = ResolversParentTypes['DeletePayload']> = {
  id?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
};

export type Resolvers<ContextType = RequestContext> = {
  Decimal?: GraphQLScalarType;
  DateTime?: GraphQLScalarType;
  Product?: ProductResolvers<ContextType>;
  Mutation?: MutationResolvers<ContextType>;
  ProductPayload?: ProductPayloadResolvers<ContextType>;
  DeletePayload?: DeletePayloadResolvers<ContextType>;
};
