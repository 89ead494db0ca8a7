// Generated from schema.graphql by `npm run codegen`. Do not edit.
import type { GraphQLResolveInfo, GraphQLScalarType, GraphQLScalarTypeConfig } from 'graphql';
import type { UserState } from '../../../shared/events/states.js';
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
  /** An instant as ISO 8601 text in UTC, such as 2026-01-31T12:00:00.000Z. */
  DateTime: { input: number; output: number; }
  _FieldSet: { input: string; output: string; }
};

/** What a person may do. */
export type Role =
  /** Sees and changes what is their own. */
  | 'USER'
  /** Sees and changes everything. */
  | 'ADMIN';

/** The language that somebody is written to in. */
export type Locale =
  /** English. */
  | 'EN'
  /** Brazilian Portuguese. */
  | 'PT';

/** Somebody who orders and holds accounts. */
export type User = {
  /** A UUID. */
  readonly id: Scalars['ID']['output'];
  /** Rises by one with every change; hand it to a query as minVersion to read your own write. */
  readonly version: Scalars['Int']['output'];
  /** Full name. */
  readonly name: Scalars['String']['output'];
  /** Unique, whatever the case of its letters. */
  readonly email: Scalars['String']['output'];
  /** What this person may do. */
  readonly role: Role;
  /** The language that mails to this person are in. */
  readonly locale: Locale;
  /** Whether the e-mail address was confirmed. */
  readonly verified: Scalars['Boolean']['output'];
  /** When the user was created. */
  readonly createdAt: Scalars['DateTime']['output'];
  /** When the user last changed. */
  readonly updatedAt: Scalars['DateTime']['output'];
};

/** What can be read. Single things may be asked for at a version; lists run a moment behind. */
export type Query = {
  /** The caller, or null when nobody is logged in. */
  readonly me?: Maybe<User>;
};

/** What can be changed. Each call is one transaction: it happens as a whole or not at all. */
export type Mutation = {
  /** Creates the caller's own user, with a password, and logs in. Anybody may. */
  readonly register: AuthPayload;
  /** An access token for whoever knows the password. Anybody may try, ever more slowly. */
  readonly login: AuthPayload;
  /** Confirms the e-mail address that a token was sent to. Whoever has the token may. */
  readonly verifyEmail: UserPayload;
  /** Asks for another mail with a link that confirms an address, once a minute. The answer does not tell who has the address. */
  readonly resendVerification: ResendVerificationPayload;
  /** Changes the caller's own password. Access tokens that were given out go on until they expire. */
  readonly changePassword: UserPayload;
  /** Creates a user. Administrators only. */
  readonly createUser: UserPayload;
  /** Changes name, e-mail, role or language; what is left out stays. */
  readonly updateUser: UserPayload;
  /** Deletes a user who has no open orders and no money. Personal data is cleared. */
  readonly deleteUser: DeletePayload;
};


/** What can be changed. Each call is one transaction: it happens as a whole or not at all. */
export type MutationRegisterArgs = {
  input: RegisterInput;
};


/** What can be changed. Each call is one transaction: it happens as a whole or not at all. */
export type MutationLoginArgs = {
  input: LoginInput;
};


/** What can be changed. Each call is one transaction: it happens as a whole or not at all. */
export type MutationVerifyEmailArgs = {
  input: VerifyEmailInput;
};


/** What can be changed. Each call is one transaction: it happens as a whole or not at all. */
export type MutationResendVerificationArgs = {
  input: ResendVerificationInput;
};


/** What can be changed. Each call is one transaction: it happens as a whole or not at all. */
export type MutationChangePasswordArgs = {
  input: ChangePasswordInput;
};


/** What can be changed. Each call is one transaction: it happens as a whole or not at all. */
export type MutationCreateUserArgs = {
  input: CreateUserInput;
};


/** What can be changed. Each call is one transaction: it happens as a whole or not at all. */
export type MutationUpdateUserArgs = {
  input: UpdateUserInput;
};


/** What can be changed. Each call is one transaction: it happens as a whole or not at all. */
export type MutationDeleteUserArgs = {
  input: DeleteUserInput;
};

/** Somebody new. */
export type RegisterInput = {
  /** Full name, 1 to 200 characters. */
  readonly name: Scalars['String']['input'];
  /** E-mail address, unique. */
  readonly email: Scalars['String']['input'];
  /** Any 8 to 128 characters. */
  readonly password: Scalars['String']['input'];
  /** The language of mails; EN when absent. */
  readonly locale?: InputMaybe<Locale>;
};

/** A link in a mail. */
export type VerifyEmailInput = {
  /** What stands behind token= in the link; good once, for ten minutes. */
  readonly token: Scalars['String']['input'];
};

/** An address that waits for its mail. */
export type ResendVerificationInput = {
  /** E-mail address, whatever the case of its letters. */
  readonly email: Scalars['String']['input'];
};

/** Somebody who comes back. */
export type LoginInput = {
  /** E-mail address, whatever the case of its letters. */
  readonly email: Scalars['String']['input'];
  /** The password. */
  readonly password: Scalars['String']['input'];
};

/** A new password. */
export type ChangePasswordInput = {
  /** The one that is good until now. */
  readonly currentPassword: Scalars['String']['input'];
  /** Any 8 to 128 characters. */
  readonly newPassword: Scalars['String']['input'];
};

/** A new user. */
export type CreateUserInput = {
  /** Full name, 1 to 200 characters. */
  readonly name: Scalars['String']['input'];
  /** E-mail address, unique. */
  readonly email: Scalars['String']['input'];
  /** What the user may do; USER when absent. */
  readonly role?: InputMaybe<Role>;
  /** The language of mails; EN when absent. */
  readonly locale?: InputMaybe<Locale>;
  /** Repeats of the call with the same key answer the first success and do nothing. */
  readonly idempotencyKey?: InputMaybe<Scalars['String']['input']>;
};

/** Changes to a user. */
export type UpdateUserInput = {
  /** Which user. */
  readonly id: Scalars['ID']['input'];
  /** New full name. */
  readonly name?: InputMaybe<Scalars['String']['input']>;
  /** New e-mail address, to be confirmed by whoever reads mail there. */
  readonly email?: InputMaybe<Scalars['String']['input']>;
  /** New role. Administrators only. */
  readonly role?: InputMaybe<Role>;
  /** New language of mails. */
  readonly locale?: InputMaybe<Locale>;
  /** The version the change is meant for; CONFLICT when another is there. */
  readonly expectedVersion?: InputMaybe<Scalars['Int']['input']>;
  /** Repeats of the call with the same key answer the first success and do nothing. */
  readonly idempotencyKey?: InputMaybe<Scalars['String']['input']>;
};

/** Which user to delete. */
export type DeleteUserInput = {
  /** Which user. */
  readonly id: Scalars['ID']['input'];
  /** The version the deletion is meant for; CONFLICT when another is there. */
  readonly expectedVersion?: InputMaybe<Scalars['Int']['input']>;
  /** Repeats of the call with the same key answer the first success and do nothing. */
  readonly idempotencyKey?: InputMaybe<Scalars['String']['input']>;
};

/** Somebody who is logged in. */
export type AuthPayload = {
  /** Goes with every request, as the header Authorization: Bearer and this token. */
  readonly accessToken: Scalars['String']['output'];
  /** When the token stops being good. */
  readonly expiresAt: Scalars['DateTime']['output'];
  /** Who it speaks for. */
  readonly user: User;
};

/** The user after the mutation. */
export type UserPayload = {
  /** As the write model has it. */
  readonly user: User;
};

/** What became of asking for a mail. */
export type ResendVerificationPayload = {
  /** Always true: whoever has the address and has not confirmed it gets a mail, and nobody is told whether that is anyone. */
  readonly accepted: Scalars['Boolean']['output'];
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
  User: User;
};

/** Mapping of federation reference types */
export type FederationReferenceTypes = {
  User:
    ( { __typename: 'User' }
    & ( GraphQLRecursivePick<FederationTypes['User'], {"id":true}>
        | GraphQLRecursivePick<FederationTypes['User'], {"id":true,"version":true}> ) );
};



/** Mapping between all available schema types and the resolvers types */
export type ResolversTypes = {
  DateTime: ResolverTypeWrapper<Scalars['DateTime']['output']>;
  Role: Role;
  Locale: Locale;
  User: ResolverTypeWrapper<UserState>;
  ID: ResolverTypeWrapper<Scalars['ID']['output']>;
  Int: ResolverTypeWrapper<Scalars['Int']['output']>;
  String: ResolverTypeWrapper<Scalars['String']['output']>;
  Boolean: ResolverTypeWrapper<Scalars['Boolean']['output']>;
  Query: ResolverTypeWrapper<Record<PropertyKey, never>>;
  Mutation: ResolverTypeWrapper<Record<PropertyKey, never>>;
  RegisterInput: RegisterInput;
  VerifyEmailInput: VerifyEmailInput;
  ResendVerificationInput: ResendVerificationInput;
  LoginInput: LoginInput;
  ChangePasswordInput: ChangePasswordInput;
  CreateUserInput: CreateUserInput;
  UpdateUserInput: UpdateUserInput;
  DeleteUserInput: DeleteUserInput;
  AuthPayload: ResolverTypeWrapper<Omit<AuthPayload, 'user'> & { user: ResolversTypes['User'] }>;
  UserPayload: ResolverTypeWrapper<Omit<UserPayload, 'user'> & { user: ResolversTypes['User'] }>;
  ResendVerificationPayload: ResolverTypeWrapper<ResendVerificationPayload>;
  DeletePayload: ResolverTypeWrapper<DeletePayload>;
};

/** Mapping between all available schema types and the resolvers parents */
export type ResolversParentTypes = {
  DateTime: Scalars['DateTime']['output'];
  User: UserState;
  ID: Scalars['ID']['output'];
  Int: Scalars['Int']['output'];
  String: Scalars['String']['output'];
  Boolean: Scalars['Boolean']['output'];
  Query: Record<PropertyKey, never>;
  Mutation: Record<PropertyKey, never>;
  RegisterInput: RegisterInput;
  VerifyEmailInput: VerifyEmailInput;
  ResendVerificationInput: ResendVerificationInput;
  LoginInput: LoginInput;
  ChangePasswordInput: ChangePasswordInput;
  CreateUserInput: CreateUserInput;
  UpdateUserInput: UpdateUserInput;
  DeleteUserInput: DeleteUserInput;
  AuthPayload: Omit<AuthPayload, 'user'> & { user: ResolversParentTypes['User'] };
  UserPayload: Omit<UserPayload, 'user'> & { user: ResolversParentTypes['User'] };
  ResendVerificationPayload: ResendVerificationPayload;
  DeletePayload: DeletePayload;
};

export interface DateTimeScalarConfig extends GraphQLScalarTypeConfig<ResolversTypes['DateTime'], any> {
  name: 'DateTime';
}

export type UserResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['User'] = ResolversParentTypes['User'], FederationReferenceType extends FederationReferenceTypes['User'] = FederationReferenceTypes['User']> = {
  __resolveReference?: ReferenceResolver<Maybe<ResolversTypes['User']> | FederationReferenceType, FederationReferenceType, ContextType>;
  id?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  version?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  name?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  email?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  role?: Resolver<ResolversTypes['Role'], ParentType, ContextType>;
  locale?: Resolver<ResolversTypes['Locale'], ParentType, ContextType>;
  verified?: Resolver<ResolversTypes['Boolean'], ParentType, ContextType>;
  createdAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  updatedAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
};

export type QueryResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['Query'] = ResolversParentTypes['Query']> = {
  me?: Resolver<Maybe<ResolversTypes['User']>, ParentType, ContextType>;
};

export type MutationResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['Mutation'] = ResolversParentTypes['Mutation']> = {
  register?: Resolver<ResolversTypes['AuthPayload'], ParentType, ContextType, RequireFields<MutationRegisterArgs, 'input'>>;
  login?: Resolver<ResolversTypes['AuthPayload'], ParentType, ContextType, RequireFields<MutationLoginArgs, 'input'>>;
  verifyEmail?: Resolver<ResolversTypes['UserPayload'], ParentType, ContextType, RequireFields<MutationVerifyEmailArgs, 'input'>>;
  resendVerification?: Resolver<ResolversTypes['ResendVerificationPayload'], ParentType, ContextType, RequireFields<MutationResendVerificationArgs, 'input'>>;
  changePassword?: Resolver<ResolversTypes['UserPayload'], ParentType, ContextType, RequireFields<MutationChangePasswordArgs, 'input'>>;
  createUser?: Resolver<ResolversTypes['UserPayload'], ParentType, ContextType, RequireFields<MutationCreateUserArgs, 'input'>>;
  updateUser?: Resolver<ResolversTypes['UserPayload'], ParentType, ContextType, RequireFields<MutationUpdateUserArgs, 'input'>>;
  deleteUser?: Resolver<ResolversTypes['DeletePayload'], ParentType, ContextType, RequireFields<MutationDeleteUserArgs, 'input'>>;
};

export type AuthPayloadResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['AuthPayload'] = ResolversParentTypes['AuthPayload']> = {
  accessToken?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  expiresAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  user?: Resolver<ResolversTypes['User'], ParentType, ContextType>;
};

export type UserPayloadResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['UserPayload'] = ResolversParentTypes['UserPayload']> = {
  user?: Resolver<ResolversTypes['User'], ParentType, ContextType>;
};

export type ResendVerificationPayloadResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['ResendVerificationPayload'] = ResolversParentTypes['ResendVerificationPayload']> = {
  accepted?: Resolver<ResolversTypes['Boolean'], ParentType, ContextType>;
};

export type DeletePayloadResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['DeletePayload'] = ResolversParentTypes['DeletePayload']> = {
  id?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
};

export type Resolvers<ContextType = RequestContext> = {
  DateTime?: GraphQLScalarType;
  User?: UserResolvers<ContextType>;
  Query?: QueryResolvers<ContextType>;
  Mutation?: MutationResolvers<ContextType>;
  AuthPayload?: AuthPayloadResolvers<ContextType>;
  UserPayload?: UserPayloadResolvers<ContextType>;
  ResendVerificationPayload?: ResendVerificationPayloadResolvers<ContextType>;
  DeletePayload?: DeletePayloadResolvers<ContextType>;
};
