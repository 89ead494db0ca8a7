// Generated from schema.graphql by `npm run codegen`. Do not edit.
import type { GraphQLResolveInfo, GraphQLScalarType, GraphQLScalarTypeConfig } from 'graphql';
import type { AccountState, TransactionState } from '../../../shared/events/states.js';
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

/** An account that holds money. */
export type Account = {
  /** A UUID. */
  readonly id: Scalars['ID']['output'];
  /** Rises with every change of the balance: by one, or by more where another wallet system keeps the account. */
  readonly version: Scalars['Int']['output'];
  /** Whose account it is; null for the house's own and for accounts of another wallet system. */
  readonly userId?: Maybe<Scalars['ID']['output']>;
  /** What is in it. */
  readonly balance: Scalars['Decimal']['output'];
  /** When the account was created. */
  readonly createdAt: Scalars['DateTime']['output'];
  /** When the balance last changed. */
  readonly updatedAt: Scalars['DateTime']['output'];
};

/** Why money moved. */
export type TransactionKind =
  /** Money came in from outside. */
  | 'DEPOSIT'
  /** From one account to another. */
  | 'TRANSFER'
  /** An order was paid. */
  | 'PAYMENT'
  /** A paid order was canceled. */
  | 'REFUND';

/** A movement of money between two accounts. */
export type Transaction = {
  /** A UUID. */
  readonly id: Scalars['ID']['output'];
  /** Why money moved. */
  readonly kind: TransactionKind;
  /** Where it came from. */
  readonly fromAccountId: Scalars['ID']['output'];
  /** Where it went. */
  readonly toAccountId: Scalars['ID']['output'];
  /** How much, always positive. */
  readonly amount: Scalars['Decimal']['output'];
  /** When. */
  readonly createdAt: Scalars['DateTime']['output'];
};

/** What can be changed. Each call is one transaction: it happens as a whole or not at all. */
export type Mutation = {
  /** Opens an account for a user: their own, or anyone's for administrators. */
  readonly createAccount: AccountPayload;
  /** Puts money from outside into an account. Administrators only. */
  readonly deposit: TransactionPayload;
  /** Moves money from an account of the caller to any other. */
  readonly transfer: TransactionPayload;
};


/** What can be changed. Each call is one transaction: it happens as a whole or not at all. */
export type MutationCreateAccountArgs = {
  input: CreateAccountInput;
};


/** What can be changed. Each call is one transaction: it happens as a whole or not at all. */
export type MutationDepositArgs = {
  input: DepositInput;
};


/** What can be changed. Each call is one transaction: it happens as a whole or not at all. */
export type MutationTransferArgs = {
  input: TransferInput;
};

/** A new account. */
export type CreateAccountInput = {
  /** Whose account; the caller's when absent. */
  readonly userId?: InputMaybe<Scalars['ID']['input']>;
  /** Repeats of the call with the same key answer the first success and do nothing. */
  readonly idempotencyKey?: InputMaybe<Scalars['String']['input']>;
};

/** Money that comes in. */
export type DepositInput = {
  /** Into which account. */
  readonly accountId: Scalars['ID']['input'];
  /** How much, 0.01 to 10,000,000.00. */
  readonly amount: Scalars['Decimal']['input'];
  /** Repeats of the call with the same key answer the first success and do nothing. */
  readonly idempotencyKey?: InputMaybe<Scalars['String']['input']>;
};

/** Money that moves. */
export type TransferInput = {
  /** Out of which account. */
  readonly fromAccountId: Scalars['ID']['input'];
  /** Into which account. */
  readonly toAccountId: Scalars['ID']['input'];
  /** How much, 0.01 to 10,000,000.00. */
  readonly amount: Scalars['Decimal']['input'];
  /** Repeats of the call with the same key answer the first success and do nothing. */
  readonly idempotencyKey?: InputMaybe<Scalars['String']['input']>;
};

/** The account after the mutation. */
export type AccountPayload = {
  /** As the write model has it. */
  readonly account: Account;
};

/** The movement that was made. */
export type TransactionPayload = {
  /** As the ledger has it. */
  readonly transaction: Transaction;
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
  Account: Account;
};

/** Mapping of federation reference types */
export type FederationReferenceTypes = {
  Account:
    ( { __typename: 'Account' }
    & ( GraphQLRecursivePick<FederationTypes['Account'], {"id":true}>
        | GraphQLRecursivePick<FederationTypes['Account'], {"id":true,"version":true}> ) );
};



/** Mapping between all available schema types and the resolvers types */
export type ResolversTypes = {
  Decimal: ResolverTypeWrapper<Scalars['Decimal']['output']>;
  DateTime: ResolverTypeWrapper<Scalars['DateTime']['output']>;
  Account: ResolverTypeWrapper<AccountState>;
  ID: ResolverTypeWrapper<Scalars['ID']['output']>;
  Int: ResolverTypeWrapper<Scalars['Int']['output']>;
  TransactionKind: TransactionKind;
  Transaction: ResolverTypeWrapper<TransactionState>;
  Mutation: ResolverTypeWrapper<Record<PropertyKey, never>>;
  CreateAccountInput: CreateAccountInput;
  String: ResolverTypeWrapper<Scalars['String']['output']>;
  DepositInput: DepositInput;
  TransferInput: TransferInput;
  AccountPayload: ResolverTypeWrapper<Omit<AccountPayload, 'account'> & { account: ResolversTypes['Account'] }>;
  TransactionPayload: ResolverTypeWrapper<Omit<TransactionPayload, 'transaction'> & { transaction: ResolversTypes['Transaction'] }>;
  Boolean: ResolverTypeWrapper<Scalars['Boolean']['output']>;
};

/** Mapping between all available schema types and the resolvers parents */
export type ResolversParentTypes = {
  Decimal: Scalars['Decimal']['output'];
  DateTime: Scalars['DateTime']['output'];
  Account: AccountState;
  ID: Scalars['ID']['output'];
  Int: Scalars['Int']['output'];
  Transaction: TransactionState;
  Mutation: Record<PropertyKey, never>;
  CreateAccountInput: CreateAccountInput;
  String: Scalars['String']['output'];
  DepositInput: DepositInput;
  TransferInput: TransferInput;
  AccountPayload: Omit<AccountPayload, 'account'> & { account: ResolversParentTypes['Account'] };
  TransactionPayload: Omit<TransactionPayload, 'transaction'> & { transaction: ResolversParentTypes['Transaction'] };
  Boolean: Scalars['Boolean']['output'];
};

export interface DecimalScalarConfig extends GraphQLScalarTypeConfig<ResolversTypes['Decimal'], any> {
  name: 'Decimal';
}

export interface DateTimeScalarConfig extends GraphQLScalarTypeConfig<ResolversTypes['DateTime'], any> {
  name: 'DateTime';
}

export type AccountResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['Account'] = ResolversParentTypes['Account'], FederationReferenceType extends FederationReferenceTypes['Account'] = FederationReferenceTypes['Account']> = {
  __resolveReference?: ReferenceResolver<Maybe<ResolversTypes['Account']> | FederationReferenceType, FederationReferenceType, ContextType>;
  id?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  version?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  userId?: Resolver<Maybe<ResolversTypes['ID']>, ParentType, ContextType>;
  balance?: Resolver<ResolversTypes['Decimal'], ParentType, ContextType>;
  createdAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  updatedAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
};

export type TransactionResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['Transaction'] = ResolversParentTypes['Transaction']> = {
  id?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  kind?: Resolver<ResolversTypes['TransactionKind'], ParentType, ContextType>;
  fromAccountId?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  toAccountId?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  amount?: Resolver<ResolversTypes['Decimal'], ParentType, ContextType>;
  createdAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
};

export type MutationResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['Mutation'] = ResolversParentTypes['Mutation']> = {
  createAccount?: Resolver<ResolversTypes['AccountPayload'], ParentType, ContextType, RequireFields<MutationCreateAccountArgs, 'input'>>;
  deposit?: Resolver<ResolversTypes['TransactionPayload'], ParentType, ContextType, RequireFields<MutationDepositArgs, 'input'>>;
  transfer?: Resolver<ResolversTypes['TransactionPayload'], ParentType, ContextType, RequireFields<MutationTransferArgs, 'input'>>;
};

export type AccountPayloadResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['AccountPayload'] = ResolversParentTypes['AccountPayload']> = {
  account?: Resolver<ResolversTypes['Account'], ParentType, ContextType>;
};

export type TransactionPayloadResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['TransactionPayload'] = ResolversParentTypes['TransactionPayload']> = {
  transaction?: Resolver<ResolversTypes['Transaction'], ParentType, ContextType>;
};

export type Resolvers<ContextType = RequestContext> = {
  Decimal?: GraphQLScalarType;
  DateTime?: GraphQLScalarType;
  Account?: AccountResolvers<ContextType>;
  Transaction?: TransactionResolvers<ContextType>;
  Mutation?: MutationResolvers<ContextType>;
  AccountPayload?: AccountPayloadResolvers<ContextType>;
  TransactionPayload?: TransactionPayloadResolvers<ContextType>;
};
