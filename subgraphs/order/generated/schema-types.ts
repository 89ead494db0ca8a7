// Generated from schema.graphql by `npm run codegen`. Do not edit.
import type { GraphQLResolveInfo, GraphQLScalarType, GraphQLScalarTypeConfig } from 'graphql';
import type { OrderState, OrderItem as OrderItemState, OrderPayment as OrderPaymentState, OrderHistoryEntry as OrderHistoryEntryState } from '../../../shared/events/states.js';
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

/** Where an order stands. */
export type OrderStatus =
  /** Created; stock is being reserved. */
  | 'PENDING'
  /** The stock is reserved; the customer is to pay. */
  | 'AWAITING_PAYMENT'
  /** Paid. */
  | 'PAID'
  /** Being prepared. */
  | 'PROCESSING'
  /** The customer has the goods. */
  | 'COMPLETED'
  /** Ended unfulfilled; see cancelReason. */
  | 'CANCELED';

/** How an order is paid. */
export type PaymentMethod =
  /** Credit card, through the payment provider. */
  | 'CREDIT_CARD'
  /** PIX instant transfer, through the payment provider. */
  | 'PIX'
  /** Boleto bancário, through the payment provider. */
  | 'BOLETO'
  /** From one of the customer's accounts here. */
  | 'WALLET';

/** Where the current payment attempt stands. */
export type PaymentStatus =
  /** Asked for before the stock was reserved; runs as soon as it is. */
  | 'WAITING_FOR_STOCK'
  /** Under way. */
  | 'REQUESTED'
  /** The money is there. */
  | 'COMPLETED'
  /** Declined; another attempt may be made. */
  | 'FAILED'
  /** Given back after the order was canceled. */
  | 'REFUNDED';

/** An order of one customer. */
export type Order = {
  /** A UUID. */
  readonly id: Scalars['ID']['output'];
  /** Rises by one with every change; hand it to a query as minVersion to read your own write. */
  readonly version: Scalars['Int']['output'];
  /** Where the order stands. */
  readonly status: OrderStatus;
  /** Sum of all items. */
  readonly total: Scalars['Decimal']['output'];
  /** Whose order it is. */
  readonly userId: Scalars['ID']['output'];
  /** What was ordered, at the prices of that moment; null only where the read side is asked for it and cannot answer in time. */
  readonly items: ReadonlyArray<OrderItem>;
  /** The current payment attempt, if there was one. */
  readonly payment?: Maybe<OrderPayment>;
  /** Why the order was canceled: what somebody gave as the reason, INSUFFICIENT_STOCK, or PAYMENT_EXPIRED if nobody paid it in time. */
  readonly cancelReason?: Maybe<Scalars['String']['output']>;
  /** Every status the order had, oldest first. */
  readonly history: ReadonlyArray<OrderHistoryEntry>;
  /** When the order was created. */
  readonly createdAt: Scalars['DateTime']['output'];
  /** When the order last changed. */
  readonly updatedAt: Scalars['DateTime']['output'];
};

/** One position of an order. */
export type OrderItem = {
  /** Which product. */
  readonly productId: Scalars['ID']['output'];
  /** The product's name when it was ordered. */
  readonly name: Scalars['String']['output'];
  /** Pieces ordered. */
  readonly quantity: Scalars['Int']['output'];
  /** Price of one piece when it was ordered. */
  readonly unitPrice: Scalars['Decimal']['output'];
  /** Quantity times unit price. */
  readonly subtotal: Scalars['Decimal']['output'];
};

/** A payment attempt. */
export type OrderPayment = {
  /** How it is paid. */
  readonly method: PaymentMethod;
  /** Where the attempt stands. */
  readonly status: PaymentStatus;
  /** The provider's or the ledger's reference, once there is one. */
  readonly reference?: Maybe<Scalars['String']['output']>;
};

/** A status an order reached. */
export type OrderHistoryEntry = {
  /** The order's version then. */
  readonly version: Scalars['Int']['output'];
  /** The status reached. */
  readonly status: OrderStatus;
  /** When. */
  readonly at: Scalars['DateTime']['output'];
  /** Why, for cancellations and failed payments. */
  readonly reason?: Maybe<Scalars['String']['output']>;
};

/** What can be changed. Each call is one transaction: it happens as a whole or not at all. */
export type Mutation = {
  /** Orders products. Prices come from the catalogue; stock is reserved in the background. */
  readonly createOrder: OrderPayload;
  /** Pays an order, or asks for it to be paid as soon as its stock is reserved. */
  readonly payOrder: OrderPayload;
  /** Cancels an order that is not yet being prepared; gives back stock and money. */
  readonly cancelOrder: OrderPayload;
  /** Moves a paid order to PROCESSING, and from there to COMPLETED, unless it goes by itself after a time that is set. Administrators only. */
  readonly updateOrderStatus: OrderPayload;
  /** Hides a completed or canceled order. */
  readonly deleteOrder: DeletePayload;
};


/** What can be changed. Each call is one transaction: it happens as a whole or not at all. */
export type MutationCreateOrderArgs = {
  input: CreateOrderInput;
};


/** What can be changed. Each call is one transaction: it happens as a whole or not at all. */
export type MutationPayOrderArgs = {
  input: PayOrderInput;
};


/** What can be changed. Each call is one transaction: it happens as a whole or not at all. */
export type MutationCancelOrderArgs = {
  input: CancelOrderInput;
};


/** What can be changed. Each call is one transaction: it happens as a whole or not at all. */
export type MutationUpdateOrderStatusArgs = {
  input: UpdateOrderStatusInput;
};


/** What can be changed. Each call is one transaction: it happens as a whole or not at all. */
export type MutationDeleteOrderArgs = {
  input: DeleteOrderInput;
};

/** A new order. */
export type CreateOrderInput = {
  /** 1 to 100 items, each product once. */
  readonly items: ReadonlyArray<OrderItemInput>;
  /** Whose order it is; the caller's when absent. Administrators only. */
  readonly userId?: InputMaybe<Scalars['ID']['input']>;
  /** Repeats of the call with the same key answer the first success and do nothing. */
  readonly idempotencyKey?: InputMaybe<Scalars['String']['input']>;
};

/** One position of a new order. */
export type OrderItemInput = {
  /** Which product. */
  readonly productId: Scalars['ID']['input'];
  /** Pieces, 1 to 10,000. */
  readonly quantity: Scalars['Int']['input'];
  /** The price the customer saw; CONFLICT when it is another by now. */
  readonly expectedUnitPrice?: InputMaybe<Scalars['Decimal']['input']>;
};

/** How to pay. */
export type PayOrderInput = {
  /** Which order. */
  readonly id: Scalars['ID']['input'];
  /** How it is paid. */
  readonly method: PaymentMethod;
  /** The account to pay from; needed for WALLET, and only there. */
  readonly accountId?: InputMaybe<Scalars['ID']['input']>;
  /** The version the payment is meant for; CONFLICT when another is there. */
  readonly expectedVersion?: InputMaybe<Scalars['Int']['input']>;
  /** Repeats of the call with the same key answer the first success and do nothing. */
  readonly idempotencyKey?: InputMaybe<Scalars['String']['input']>;
};

/** Which order to cancel, and why. */
export type CancelOrderInput = {
  /** Which order. */
  readonly id: Scalars['ID']['input'];
  /** Why, up to 500 characters. */
  readonly reason?: InputMaybe<Scalars['String']['input']>;
  /** The version the cancellation is meant for; CONFLICT when another is there. */
  readonly expectedVersion?: InputMaybe<Scalars['Int']['input']>;
  /** Repeats of the call with the same key answer the first success and do nothing. */
  readonly idempotencyKey?: InputMaybe<Scalars['String']['input']>;
};

/** Where a paid order goes next. */
export type UpdateOrderStatusInput = {
  /** Which order. */
  readonly id: Scalars['ID']['input'];
  /** PROCESSING or COMPLETED. */
  readonly status: OrderStatus;
  /** The version the change is meant for; CONFLICT when another is there. */
  readonly expectedVersion?: InputMaybe<Scalars['Int']['input']>;
  /** Repeats of the call with the same key answer the first success and do nothing. */
  readonly idempotencyKey?: InputMaybe<Scalars['String']['input']>;
};

/** Which order to delete. */
export type DeleteOrderInput = {
  /** Which order; it must be COMPLETED or CANCELED. */
  readonly id: Scalars['ID']['input'];
  /** The version the deletion is meant for; CONFLICT when another is there. */
  readonly expectedVersion?: InputMaybe<Scalars['Int']['input']>;
  /** Repeats of the call with the same key answer the first success and do nothing. */
  readonly idempotencyKey?: InputMaybe<Scalars['String']['input']>;
};

/** The order after the mutation. */
export type OrderPayload = {
  /** As the write model has it. */
  readonly order: Order;
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
  Order: Order;
};

/** Mapping of federation reference types */
export type FederationReferenceTypes = {
  Order:
    ( { __typename: 'Order' }
    & ( GraphQLRecursivePick<FederationTypes['Order'], {"id":true}>
        | GraphQLRecursivePick<FederationTypes['Order'], {"id":true,"version":true}> ) );
};



/** Mapping between all available schema types and the resolvers types */
export type ResolversTypes = {
  Decimal: ResolverTypeWrapper<Scalars['Decimal']['output']>;
  DateTime: ResolverTypeWrapper<Scalars['DateTime']['output']>;
  OrderStatus: OrderStatus;
  PaymentMethod: PaymentMethod;
  PaymentStatus: PaymentStatus;
  Order: ResolverTypeWrapper<OrderState>;
  ID: ResolverTypeWrapper<Scalars['ID']['output']>;
  Int: ResolverTypeWrapper<Scalars['Int']['output']>;
  String: ResolverTypeWrapper<Scalars['String']['output']>;
  OrderItem: ResolverTypeWrapper<OrderItemState>;
  OrderPayment: ResolverTypeWrapper<OrderPaymentState>;
  OrderHistoryEntry: ResolverTypeWrapper<OrderHistoryEntryState>;
  Mutation: ResolverTypeWrapper<Record<PropertyKey, never>>;
  CreateOrderInput: CreateOrderInput;
  OrderItemInput: OrderItemInput;
  PayOrderInput: PayOrderInput;
  CancelOrderInput: CancelOrderInput;
  UpdateOrderStatusInput: UpdateOrderStatusInput;
  DeleteOrderInput: DeleteOrderInput;
  OrderPayload: ResolverTypeWrapper<Omit<OrderPayload, 'order'> & { order: ResolversTypes['Order'] }>;
  DeletePayload: ResolverTypeWrapper<DeletePayload>;
  Boolean: ResolverTypeWrapper<Scalars['Boolean']['output']>;
};

/** Mapping between all available schema types and the resolvers parents */
export type ResolversParentTypes = {
  Decimal: Scalars['Decimal']['output'];
  DateTime: Scalars['DateTime']['output'];
  Order: OrderState;
  ID: Scalars['ID']['output'];
  Int: Scalars['Int']['output'];
  String: Scalars['String']['output'];
  OrderItem: OrderItemState;
  OrderPayment: OrderPaymentState;
  OrderHistoryEntry: OrderHistoryEntryState;
  Mutation: Record<PropertyKey, never>;
  CreateOrderInput: CreateOrderInput;
  OrderItemInput: OrderItemInput;
  PayOrderInput: PayOrderInput;
  CancelOrderInput: CancelOrderInput;
  UpdateOrderStatusInput: UpdateOrderStatusInput;
  DeleteOrderInput: DeleteOrderInput;
  OrderPayload: Omit<OrderPayload, 'order'> & { order: ResolversParentTypes['Order'] };
  DeletePayload: DeletePayload;
  Boolean: Scalars['Boolean']['output'];
};

export interface DecimalScalarConfig extends GraphQLScalarTypeConfig<ResolversTypes['Decimal'], any> {
  name: 'Decimal';
}

export interface DateTimeScalarConfig extends GraphQLScalarTypeConfig<ResolversTypes['DateTime'], any> {
  name: 'DateTime';
}

export type OrderResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['Order'] = ResolversParentTypes['Order'], FederationReferenceType extends FederationReferenceTypes['Order'] = FederationReferenceTypes['Order']> = {
  __resolveReference?: ReferenceResolver<Maybe<ResolversTypes['Order']> | FederationReferenceType, FederationReferenceType, ContextType>;
  id?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  version?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  status?: Resolver<ResolversTypes['OrderStatus'], ParentType, ContextType>;
  total?: Resolver<ResolversTypes['Decimal'], ParentType, ContextType>;
  userId?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  items?: Resolver<ReadonlyArray<ResolversTypes['OrderItem']>, ParentType, ContextType>;
  payment?: Resolver<Maybe<ResolversTypes['OrderPayment']>, ParentType, ContextType>;
  cancelReason?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  history?: Resolver<ReadonlyArray<ResolversTypes['OrderHistoryEntry']>, ParentType, ContextType>;
  createdAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  updatedAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
};

export type OrderItemResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['OrderItem'] = ResolversParentTypes['OrderItem']> = {
  productId?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  name?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  quantity?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  unitPrice?: Resolver<ResolversTypes['Decimal'], ParentType, ContextType>;
  subtotal?: Resolver<ResolversTypes['Decimal'], ParentType, ContextType>;
};

export type OrderPaymentResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['OrderPayment'] = ResolversParentTypes['OrderPayment']> = {
  method?: Resolver<ResolversTypes['PaymentMethod'], ParentType, ContextType>;
  status?: Resolver<ResolversTypes['PaymentStatus'], ParentType, ContextType>;
  reference?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
};

export type OrderHistoryEntryResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['OrderHistoryEntry'] = ResolversParentTypes['OrderHistoryEntry']> = {
  version?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  status?: Resolver<ResolversTypes['OrderStatus'], ParentType, ContextType>;
  at?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  reason?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
};

export type MutationResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['Mutation'] = ResolversParentTypes['Mutation']> = {
  createOrder?: Resolver<ResolversTypes['OrderPayload'], ParentType, ContextType, RequireFields<MutationCreateOrderArgs, 'input'>>;
  payOrder?: Resolver<ResolversTypes['OrderPayload'], ParentType, ContextType, RequireFields<MutationPayOrderArgs, 'input'>>;
  cancelOrder?: Resolver<ResolversTypes['OrderPayload'], ParentType, ContextType, RequireFields<MutationCancelOrderArgs, 'input'>>;
  updateOrderStatus?: Resolver<ResolversTypes['OrderPayload'], ParentType, ContextType, RequireFields<MutationUpdateOrderStatusArgs, 'input'>>;
  deleteOrder?: Resolver<ResolversTypes['DeletePayload'], ParentType, ContextType, RequireFields<MutationDeleteOrderArgs, 'input'>>;
};

export type OrderPayloadResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['OrderPayload'] = ResolversParentTypes['OrderPayload']> = {
  order?: Resolver<ResolversTypes['Order'], ParentType, ContextType>;
};

export type DeletePayloadResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['DeletePayload'] = ResolversParentTypes['DeletePayload']> = {
  id?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
};

export type Resolvers<ContextType = RequestContext> = {
  Decimal?: GraphQLScalarType;
  DateTime?: GraphQLScalarType;
  Order?: OrderResolvers<ContextType>;
  OrderItem?: OrderItemResolvers<ContextType>;
  OrderPayment?: OrderPaymentResolvers<ContextType>;
  OrderHistoryEntry?: OrderHistoryEntryResolvers<ContextType>;
  Mutation?: MutationResolvers<ContextType>;
  OrderPayload?: OrderPayloadResolvers<ContextType>;
  DeletePayload?: DeletePayloadResolvers<ContextType>;
};
