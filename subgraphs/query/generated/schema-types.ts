// Generated from schema.graphql by `npm run codegen`. Do not edit.
import type { GraphQLResolveInfo, GraphQLScalarType, GraphQLScalarTypeConfig } from 'graphql';
import type { UserState, ProductState, OrderState, OrderItem as OrderItemState, OrderPayment as OrderPaymentState, OrderHistoryEntry as OrderHistoryEntryState, TransactionState } from '../../../shared/events/states.js';
import type { AccountDoc } from '../views.js';
import type { UserPage, ProductPage, OrderPage, TransactionPage } from '../reads.js';
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
  /** Any JSON value. */
  JSON: { input: unknown; output: unknown; }
  _FieldSet: { input: string; output: string; }
};

/** What a person may do. */
export type Role =
  /** Sees and changes what is their own. */
  | 'USER'
  /** Sees and changes everything. */
  | 'ADMIN';

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
  /** The user's orders, newest first. */
  readonly orders?: Maybe<OrderConnection>;
  /** The user's accounts, oldest first. */
  readonly accounts?: Maybe<ReadonlyArray<Account>>;
};


/** Somebody who orders and holds accounts. */
export type UserOrdersArgs = {
  first?: InputMaybe<Scalars['Int']['input']>;
  after?: InputMaybe<Scalars['String']['input']>;
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
  /** Whose order it is; null once that user is deleted. */
  readonly user?: Maybe<User>;
  /** What was ordered, at the prices of that moment; null only where the read side is asked for it and cannot answer in time. */
  readonly items?: Maybe<ReadonlyArray<OrderItem>>;
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
  /** The product as it is now; null once it is deleted. */
  readonly product?: Maybe<Product>;
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

/** An account that holds money. */
export type Account = {
  /** A UUID. */
  readonly id: Scalars['ID']['output'];
  /** Rises with every change of the balance: by one, or by more where another wallet system keeps the account. */
  readonly version: Scalars['Int']['output'];
  /** Whose account it is; null for the house's own and for accounts of another wallet system. */
  readonly userId?: Maybe<Scalars['ID']['output']>;
  /** Whose account it is; null once that user is deleted. */
  readonly owner?: Maybe<User>;
  /** What is in it. */
  readonly balance: Scalars['Decimal']['output'];
  /** When the account was created. */
  readonly createdAt: Scalars['DateTime']['output'];
  /** When the balance last changed. */
  readonly updatedAt: Scalars['DateTime']['output'];
  /** The account's movements, newest first. */
  readonly transactions?: Maybe<TransactionConnection>;
};


/** An account that holds money. */
export type AccountTransactionsArgs = {
  first?: InputMaybe<Scalars['Int']['input']>;
  after?: InputMaybe<Scalars['String']['input']>;
};

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

/** Where a page ends and whether there is more, as in the Relay connection specification. */
export type PageInfo = {
  /** Whether another page follows. */
  readonly hasNextPage: Scalars['Boolean']['output'];
  /** Whether this page was asked for with a cursor, so that others come before it. */
  readonly hasPreviousPage: Scalars['Boolean']['output'];
  /** Cursor of the first edge. */
  readonly startCursor?: Maybe<Scalars['String']['output']>;
  /** Cursor of the last edge; hand it over as after to go on. */
  readonly endCursor?: Maybe<Scalars['String']['output']>;
};

/** A page of users. */
export type UserConnection = {
  /** The page. */
  readonly edges: ReadonlyArray<UserEdge>;
  /** The page without cursors. */
  readonly nodes: ReadonlyArray<User>;
  /** How to go on. */
  readonly pageInfo: PageInfo;
  /** How many there are on all pages. */
  readonly totalCount: Scalars['Int']['output'];
};

/** A user on a page. */
export type UserEdge = {
  /** Where it stands; for after. */
  readonly cursor: Scalars['String']['output'];
  /** The user. */
  readonly node: User;
};

/** A page of products. */
export type ProductConnection = {
  /** The page. */
  readonly edges: ReadonlyArray<ProductEdge>;
  /** The page without cursors. */
  readonly nodes: ReadonlyArray<Product>;
  /** How to go on. */
  readonly pageInfo: PageInfo;
  /** How many there are on all pages. */
  readonly totalCount: Scalars['Int']['output'];
};

/** A product on a page. */
export type ProductEdge = {
  /** Where it stands; for after. */
  readonly cursor: Scalars['String']['output'];
  /** The product. */
  readonly node: Product;
};

/** A page of orders. */
export type OrderConnection = {
  /** The page. */
  readonly edges: ReadonlyArray<OrderEdge>;
  /** The page without cursors. */
  readonly nodes: ReadonlyArray<Order>;
  /** How to go on. */
  readonly pageInfo: PageInfo;
  /** How many there are on all pages. */
  readonly totalCount: Scalars['Int']['output'];
};

/** An order on a page. */
export type OrderEdge = {
  /** Where it stands; for after. */
  readonly cursor: Scalars['String']['output'];
  /** The order. */
  readonly node: Order;
};

/** A page of transactions. */
export type TransactionConnection = {
  /** The page. */
  readonly edges: ReadonlyArray<TransactionEdge>;
  /** The page without cursors. */
  readonly nodes: ReadonlyArray<Transaction>;
  /** How to go on. */
  readonly pageInfo: PageInfo;
  /** How many there are on all pages. */
  readonly totalCount: Scalars['Int']['output'];
};

/** A transaction on a page. */
export type TransactionEdge = {
  /** Where it stands; for after. */
  readonly cursor: Scalars['String']['output'];
  /** The transaction. */
  readonly node: Transaction;
};

/** Which users to list. */
export type UserFilter = {
  /** Words, or beginnings of words, of the name or the e-mail address. */
  readonly search?: InputMaybe<Scalars['String']['input']>;
};

/** In which order to list users. */
export type UserSort =
  /** Newest first. */
  | 'CREATED_AT_DESC'
  /** Oldest first. */
  | 'CREATED_AT_ASC'
  /** By name. */
  | 'NAME_ASC'
  /** By name, backwards. */
  | 'NAME_DESC';

/** Which products to list. */
export type ProductFilter = {
  /** Words, or beginnings of words, of the name. */
  readonly search?: InputMaybe<Scalars['String']['input']>;
  /** Lowest price. */
  readonly minPrice?: InputMaybe<Scalars['Decimal']['input']>;
  /** Highest price. */
  readonly maxPrice?: InputMaybe<Scalars['Decimal']['input']>;
  /** Whether any piece can still be ordered. */
  readonly inStock?: InputMaybe<Scalars['Boolean']['input']>;
};

/** In which order to list products. */
export type ProductSort =
  /** Newest first. */
  | 'CREATED_AT_DESC'
  /** Oldest first. */
  | 'CREATED_AT_ASC'
  /** By name. */
  | 'NAME_ASC'
  /** By name, backwards. */
  | 'NAME_DESC'
  /** Cheapest first. */
  | 'PRICE_ASC'
  /** Dearest first. */
  | 'PRICE_DESC';

/** Which orders to list. */
export type OrderFilter = {
  /** With one of these statuses. */
  readonly status?: InputMaybe<ReadonlyArray<OrderStatus>>;
  /** Of this user. Others than oneself: administrators only. */
  readonly userId?: InputMaybe<Scalars['ID']['input']>;
  /** Created at this instant or later. */
  readonly createdAfter?: InputMaybe<Scalars['DateTime']['input']>;
  /** Created before this instant. */
  readonly createdBefore?: InputMaybe<Scalars['DateTime']['input']>;
};

/** In which order to list orders. */
export type OrderSort =
  /** Newest first. */
  | 'CREATED_AT_DESC'
  /** Oldest first. */
  | 'CREATED_AT_ASC'
  /** Largest total first. */
  | 'TOTAL_DESC'
  /** Smallest total first. */
  | 'TOTAL_ASC';

/** In which order to list transactions. */
export type TransactionSort =
  /** Newest first. */
  | 'CREATED_AT_DESC'
  /** Oldest first. */
  | 'CREATED_AT_ASC';

/** Something that happened, as the event log has it. */
export type TimelineEntry = {
  /** The event's id. */
  readonly id: Scalars['ID']['output'];
  /** What happened, such as order.created. */
  readonly type: Scalars['String']['output'];
  /** The service that published it, such as tributary/order. */
  readonly source: Scalars['String']['output'];
  /** The aggregate it happened to. */
  readonly aggregateId: Scalars['ID']['output'];
  /** The aggregate's version after it. */
  readonly version: Scalars['Int']['output'];
  /** When. */
  readonly at: Scalars['DateTime']['output'];
  /** The topic it was published on. */
  readonly topic: Scalars['String']['output'];
  /** The partition of the topic. */
  readonly partition: Scalars['Int']['output'];
  /** Where in the partition it stands. */
  readonly offset: Scalars['String']['output'];
  /** What it carried. */
  readonly data: Scalars['JSON']['output'];
};

/** What can be read. Single things may be asked for at a version; lists run a moment behind. */
export type Query = {
  /** A user; their own record, or anyone's for administrators. */
  readonly user?: Maybe<User>;
  /** All users. Administrators only. */
  readonly users: UserConnection;
  /** A product. */
  readonly product?: Maybe<Product>;
  /** The catalogue. */
  readonly products: ProductConnection;
  /** An order of the caller; any for administrators. */
  readonly order?: Maybe<Order>;
  /** The caller's orders; everyone's for administrators. */
  readonly orders: OrderConnection;
  /** An account of the caller; any for administrators. */
  readonly account?: Maybe<Account>;
  /** The movements of an account of the caller; of any for administrators. */
  readonly transactions: TransactionConnection;
  /** What happened to an aggregate, oldest first, the newest 5,000 events; an order's includes its stock and its payments. */
  readonly timeline: ReadonlyArray<TimelineEntry>;
};


/** What can be read. Single things may be asked for at a version; lists run a moment behind. */
export type QueryUserArgs = {
  id: Scalars['ID']['input'];
  minVersion?: InputMaybe<Scalars['Int']['input']>;
};


/** What can be read. Single things may be asked for at a version; lists run a moment behind. */
export type QueryUsersArgs = {
  filter?: InputMaybe<UserFilter>;
  sort?: InputMaybe<UserSort>;
  first?: InputMaybe<Scalars['Int']['input']>;
  after?: InputMaybe<Scalars['String']['input']>;
};


/** What can be read. Single things may be asked for at a version; lists run a moment behind. */
export type QueryProductArgs = {
  id: Scalars['ID']['input'];
  minVersion?: InputMaybe<Scalars['Int']['input']>;
};


/** What can be read. Single things may be asked for at a version; lists run a moment behind. */
export type QueryProductsArgs = {
  filter?: InputMaybe<ProductFilter>;
  sort?: InputMaybe<ProductSort>;
  first?: InputMaybe<Scalars['Int']['input']>;
  after?: InputMaybe<Scalars['String']['input']>;
};


/** What can be read. Single things may be asked for at a version; lists run a moment behind. */
export type QueryOrderArgs = {
  id: Scalars['ID']['input'];
  minVersion?: InputMaybe<Scalars['Int']['input']>;
};


/** What can be read. Single things may be asked for at a version; lists run a moment behind. */
export type QueryOrdersArgs = {
  filter?: InputMaybe<OrderFilter>;
  sort?: InputMaybe<OrderSort>;
  first?: InputMaybe<Scalars['Int']['input']>;
  after?: InputMaybe<Scalars['String']['input']>;
};


/** What can be read. Single things may be asked for at a version; lists run a moment behind. */
export type QueryAccountArgs = {
  id: Scalars['ID']['input'];
  minVersion?: InputMaybe<Scalars['Int']['input']>;
};


/** What can be read. Single things may be asked for at a version; lists run a moment behind. */
export type QueryTransactionsArgs = {
  accountId: Scalars['ID']['input'];
  sort?: InputMaybe<TransactionSort>;
  first?: InputMaybe<Scalars['Int']['input']>;
  after?: InputMaybe<Scalars['String']['input']>;
};


/** What can be read. Single things may be asked for at a version; lists run a moment behind. */
export type QueryTimelineArgs = {
  aggregateId: Scalars['ID']['input'];
};

/** What a message of a resumable subscription is. */
export type StreamEventKind =
  /** The state when the subscription began. */
  | 'SNAPSHOT'
  /** Something changed. */
  | 'CHANGE'
  /** Changes were missed and cannot be delivered any more; fresh snapshots follow. */
  | 'GAP';

/** A message of orderStatusChanged. */
export type OrderStatusChanged = {
  /** What this message is. */
  readonly kind: StreamEventKind;
  /** Subscribe with after: cursor to go on behind this message. */
  readonly cursor: Scalars['String']['output'];
  /** The order as it was then; null in a GAP. */
  readonly order?: Maybe<Order>;
  /** The status reached. */
  readonly status?: Maybe<OrderStatus>;
  /** The status before it; null when the order was just created. */
  readonly previousStatus?: Maybe<OrderStatus>;
  /** Why, for cancellations and failed payments. */
  readonly reason?: Maybe<Scalars['String']['output']>;
  /** When. */
  readonly at?: Maybe<Scalars['DateTime']['output']>;
};

/** A message of balanceChanged. */
export type BalanceChanged = {
  /** What this message is. */
  readonly kind: StreamEventKind;
  /** Subscribe with after: cursor to go on behind this message. */
  readonly cursor: Scalars['String']['output'];
  /** The account as it was then; null in a GAP. */
  readonly account?: Maybe<Account>;
  /** What was in it then. */
  readonly balance?: Maybe<Scalars['Decimal']['output']>;
  /** The movement that changed the balance; null in a SNAPSHOT or GAP, and where another wallet system keeps the account. */
  readonly transaction?: Maybe<Transaction>;
  /** When. */
  readonly at?: Maybe<Scalars['DateTime']['output']>;
};

/** What can be watched, over WebSocket. */
export type Subscription = {
  /** Snapshots, then every status change: of one order, of one user's orders, or, for administrators, of all (live only). */
  readonly orderStatusChanged: OrderStatusChanged;
  /** A product, whenever it changes; the newest state counts, a slow client may miss states in between. */
  readonly stockChanged?: Maybe<Product>;
  /** A snapshot, then every change of an account's balance; of one in another wallet system, the newest balance whenever it changes. */
  readonly balanceChanged: BalanceChanged;
};


/** What can be watched, over WebSocket. */
export type SubscriptionOrderStatusChangedArgs = {
  orderId?: InputMaybe<Scalars['ID']['input']>;
  userId?: InputMaybe<Scalars['ID']['input']>;
  after?: InputMaybe<Scalars['String']['input']>;
};


/** What can be watched, over WebSocket. */
export type SubscriptionStockChangedArgs = {
  productId: Scalars['ID']['input'];
};


/** What can be watched, over WebSocket. */
export type SubscriptionBalanceChangedArgs = {
  accountId: Scalars['ID']['input'];
  after?: InputMaybe<Scalars['String']['input']>;
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
  Product: Product;
  Order: Order;
  Account: Account;
};

/** Mapping of federation reference types */
export type FederationReferenceTypes = {
  User:
    ( { __typename: 'User' }
    & GraphQLRecursivePick<FederationTypes['User'], {"id":true,"version":true}> );
  Product:
    ( { __typename: 'Product' }
    & GraphQLRecursivePick<FederationTypes['Product'], {"id":true,"version":true}> );
  Order:
    ( { __typename: 'Order' }
    & GraphQLRecursivePick<FederationTypes['Order'], {"id":true,"version":true}> );
  Account:
    ( { __typename: 'Account' }
    & GraphQLRecursivePick<FederationTypes['Account'], {"id":true,"version":true}> );
};



/** Mapping between all available schema types and the resolvers types */
export type ResolversTypes = {
  Decimal: ResolverTypeWrapper<Scalars['Decimal']['output']>;
  DateTime: ResolverTypeWrapper<Scalars['DateTime']['output']>;
  JSON: ResolverTypeWrapper<Scalars['JSON']['output']>;
  Role: Role;
  OrderStatus: OrderStatus;
  PaymentMethod: PaymentMethod;
  PaymentStatus: PaymentStatus;
  TransactionKind: TransactionKind;
  Locale: Locale;
  User: ResolverTypeWrapper<UserState>;
  ID: ResolverTypeWrapper<Scalars['ID']['output']>;
  Int: ResolverTypeWrapper<Scalars['Int']['output']>;
  String: ResolverTypeWrapper<Scalars['String']['output']>;
  Boolean: ResolverTypeWrapper<Scalars['Boolean']['output']>;
  Product: ResolverTypeWrapper<ProductState>;
  Order: ResolverTypeWrapper<OrderState>;
  OrderItem: ResolverTypeWrapper<OrderItemState>;
  OrderPayment: ResolverTypeWrapper<OrderPaymentState>;
  OrderHistoryEntry: ResolverTypeWrapper<OrderHistoryEntryState>;
  Account: ResolverTypeWrapper<AccountDoc>;
  Transaction: ResolverTypeWrapper<TransactionState>;
  PageInfo: ResolverTypeWrapper<PageInfo>;
  UserConnection: ResolverTypeWrapper<UserPage>;
  UserEdge: ResolverTypeWrapper<Omit<UserEdge, 'node'> & { node: ResolversTypes['User'] }>;
  ProductConnection: ResolverTypeWrapper<ProductPage>;
  ProductEdge: ResolverTypeWrapper<Omit<ProductEdge, 'node'> & { node: ResolversTypes['Product'] }>;
  OrderConnection: ResolverTypeWrapper<OrderPage>;
  OrderEdge: ResolverTypeWrapper<Omit<OrderEdge, 'node'> & { node: ResolversTypes['Order'] }>;
  TransactionConnection: ResolverTypeWrapper<TransactionPage>;
  TransactionEdge: ResolverTypeWrapper<Omit<TransactionEdge, 'node'> & { node: ResolversTypes['Transaction'] }>;
  UserFilter: UserFilter;
  UserSort: UserSort;
  ProductFilter: ProductFilter;
  ProductSort: ProductSort;
  OrderFilter: OrderFilter;
  OrderSort: OrderSort;
  TransactionSort: TransactionSort;
  TimelineEntry: ResolverTypeWrapper<TimelineEntry>;
  Query: ResolverTypeWrapper<Record<PropertyKey, never>>;
  StreamEventKind: StreamEventKind;
  OrderStatusChanged: ResolverTypeWrapper<Omit<OrderStatusChanged, 'order'> & { order?: Maybe<ResolversTypes['Order']> }>;
  BalanceChanged: ResolverTypeWrapper<Omit<BalanceChanged, 'account' | 'transaction'> & { account?: Maybe<ResolversTypes['Account']>, transaction?: Maybe<ResolversTypes['Transaction']> }>;
  Subscription: ResolverTypeWrapper<Record<PropertyKey, never>>;
};

/** Mapping between all available schema types and the resolvers parents */
export type ResolversParentTypes = {
  Decimal: Scalars['Decimal']['output'];
  DateTime: Scalars['DateTime']['output'];
  JSON: Scalars['JSON']['output'];
  User: UserState;
  ID: Scalars['ID']['output'];
  Int: Scalars['Int']['output'];
  String: Scalars['String']['output'];
  Boolean: Scalars['Boolean']['output'];
  Product: ProductState;
  Order: OrderState;
  OrderItem: OrderItemState;
  OrderPayment: OrderPaymentState;
  OrderHistoryEntry: OrderHistoryEntryState;
  Account: AccountDoc;
  Transaction: TransactionState;
  PageInfo: PageInfo;
  UserConnection: UserPage;
  UserEdge: Omit<UserEdge, 'node'> & { node: ResolversParentTypes['User'] };
  ProductConnection: ProductPage;
  ProductEdge: Omit<ProductEdge, 'node'> & { node: ResolversParentTypes['Product'] };
  OrderConnection: OrderPage;
  OrderEdge: Omit<OrderEdge, 'node'> & { node: ResolversParentTypes['Order'] };
  TransactionConnection: TransactionPage;
  TransactionEdge: Omit<TransactionEdge, 'node'> & { node: ResolversParentTypes['Transaction'] };
  UserFilter: UserFilter;
  ProductFilter: ProductFilter;
  OrderFilter: OrderFilter;
  TimelineEntry: TimelineEntry;
  Query: Record<PropertyKey, never>;
  OrderStatusChanged: Omit<OrderStatusChanged, 'order'> & { order?: Maybe<ResolversParentTypes['Order']> };
  BalanceChanged: Omit<BalanceChanged, 'account' | 'transaction'> & { account?: Maybe<ResolversParentTypes['Account']>, transaction?: Maybe<ResolversParentTypes['Transaction']> };
  Subscription: Record<PropertyKey, never>;
};

export interface DecimalScalarConfig extends GraphQLScalarTypeConfig<ResolversTypes['Decimal'], any> {
  name: 'Decimal';
}

export interface DateTimeScalarConfig extends GraphQLScalarTypeConfig<ResolversTypes['DateTime'], any> {
  name: 'DateTime';
}

export interface JsonScalarConfig extends GraphQLScalarTypeConfig<ResolversTypes['JSON'], any> {
  name: 'JSON';
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
  orders?: Resolver<Maybe<ResolversTypes['OrderConnection']>, ParentType, ContextType, RequireFields<UserOrdersArgs, 'first'>>;
  accounts?: Resolver<Maybe<ReadonlyArray<ResolversTypes['Account']>>, ParentType, ContextType>;
};

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

export type OrderResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['Order'] = ResolversParentTypes['Order'], FederationReferenceType extends FederationReferenceTypes['Order'] = FederationReferenceTypes['Order']> = {
  __resolveReference?: ReferenceResolver<Maybe<ResolversTypes['Order']> | FederationReferenceType, FederationReferenceType, ContextType>;
  id?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  version?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  status?: Resolver<ResolversTypes['OrderStatus'], ParentType, ContextType>;
  total?: Resolver<ResolversTypes['Decimal'], ParentType, ContextType>;
  userId?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  user?: Resolver<Maybe<ResolversTypes['User']>, ParentType, ContextType>;
  items?: Resolver<Maybe<ReadonlyArray<ResolversTypes['OrderItem']>>, ParentType, ContextType>;
  payment?: Resolver<Maybe<ResolversTypes['OrderPayment']>, ParentType, ContextType>;
  cancelReason?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  history?: Resolver<ReadonlyArray<ResolversTypes['OrderHistoryEntry']>, ParentType, ContextType>;
  createdAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  updatedAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
};

export type OrderItemResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['OrderItem'] = ResolversParentTypes['OrderItem']> = {
  productId?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  product?: Resolver<Maybe<ResolversTypes['Product']>, ParentType, ContextType>;
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

export type AccountResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['Account'] = ResolversParentTypes['Account'], FederationReferenceType extends FederationReferenceTypes['Account'] = FederationReferenceTypes['Account']> = {
  __resolveReference?: ReferenceResolver<Maybe<ResolversTypes['Account']> | FederationReferenceType, FederationReferenceType, ContextType>;
  id?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  version?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  userId?: Resolver<Maybe<ResolversTypes['ID']>, ParentType, ContextType>;
  owner?: Resolver<Maybe<ResolversTypes['User']>, ParentType, ContextType>;
  balance?: Resolver<ResolversTypes['Decimal'], ParentType, ContextType>;
  createdAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  updatedAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  transactions?: Resolver<Maybe<ResolversTypes['TransactionConnection']>, ParentType, ContextType, RequireFields<AccountTransactionsArgs, 'first'>>;
};

export type TransactionResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['Transaction'] = ResolversParentTypes['Transaction']> = {
  id?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  kind?: Resolver<ResolversTypes['TransactionKind'], ParentType, ContextType>;
  fromAccountId?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  toAccountId?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  amount?: Resolver<ResolversTypes['Decimal'], ParentType, ContextType>;
  createdAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
};

export type PageInfoResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['PageInfo'] = ResolversParentTypes['PageInfo']> = {
  hasNextPage?: Resolver<ResolversTypes['Boolean'], ParentType, ContextType>;
  hasPreviousPage?: Resolver<ResolversTypes['Boolean'], ParentType, ContextType>;
  startCursor?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  endCursor?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
};

export type UserConnectionResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['UserConnection'] = ResolversParentTypes['UserConnection']> = {
  edges?: Resolver<ReadonlyArray<ResolversTypes['UserEdge']>, ParentType, ContextType>;
  nodes?: Resolver<ReadonlyArray<ResolversTypes['User']>, ParentType, ContextType>;
  pageInfo?: Resolver<ResolversTypes['PageInfo'], ParentType, ContextType>;
  totalCount?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
};

export type UserEdgeResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['UserEdge'] = ResolversParentTypes['UserEdge']> = {
  cursor?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  node?: Resolver<ResolversTypes['User'], ParentType, ContextType>;
};

export type ProductConnectionResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['ProductConnection'] = ResolversParentTypes['ProductConnection']> = {
  edges?: Resolver<ReadonlyArray<ResolversTypes['ProductEdge']>, ParentType, ContextType>;
  nodes?: Resolver<ReadonlyArray<ResolversTypes['Product']>, ParentType, ContextType>;
  pageInfo?: Resolver<ResolversTypes['PageInfo'], ParentType, ContextType>;
  totalCount?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
};

export type ProductEdgeResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['ProductEdge'] = ResolversParentTypes['ProductEdge']> = {
  cursor?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  node?: Resolver<ResolversTypes['Product'], ParentType, ContextType>;
};

export type OrderConnectionResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['OrderConnection'] = ResolversParentTypes['OrderConnection']> = {
  edges?: Resolver<ReadonlyArray<ResolversTypes['OrderEdge']>, ParentType, ContextType>;
  nodes?: Resolver<ReadonlyArray<ResolversTypes['Order']>, ParentType, ContextType>;
  pageInfo?: Resolver<ResolversTypes['PageInfo'], ParentType, ContextType>;
  totalCount?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
};

export type OrderEdgeResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['OrderEdge'] = ResolversParentTypes['OrderEdge']> = {
  cursor?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  node?: Resolver<ResolversTypes['Order'], ParentType, ContextType>;
};

export type TransactionConnectionResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['TransactionConnection'] = ResolversParentTypes['TransactionConnection']> = {
  edges?: Resolver<ReadonlyArray<ResolversTypes['TransactionEdge']>, ParentType, ContextType>;
  nodes?: Resolver<ReadonlyArray<ResolversTypes['Transaction']>, ParentType, ContextType>;
  pageInfo?: Resolver<ResolversTypes['PageInfo'], ParentType, ContextType>;
  totalCount?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
};

export type TransactionEdgeResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['TransactionEdge'] = ResolversParentTypes['TransactionEdge']> = {
  cursor?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  node?: Resolver<ResolversTypes['Transaction'], ParentType, ContextType>;
};

export type TimelineEntryResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['TimelineEntry'] = ResolversParentTypes['TimelineEntry']> = {
  id?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  type?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  source?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  aggregateId?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  version?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  at?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  topic?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  partition?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  offset?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  data?: Resolver<ResolversTypes['JSON'], ParentType, ContextType>;
};

export type QueryResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['Query'] = ResolversParentTypes['Query']> = {
  user?: Resolver<Maybe<ResolversTypes['User']>, ParentType, ContextType, RequireFields<QueryUserArgs, 'id'>>;
  users?: Resolver<ResolversTypes['UserConnection'], ParentType, ContextType, RequireFields<QueryUsersArgs, 'sort' | 'first'>>;
  product?: Resolver<Maybe<ResolversTypes['Product']>, ParentType, ContextType, RequireFields<QueryProductArgs, 'id'>>;
  products?: Resolver<ResolversTypes['ProductConnection'], ParentType, ContextType, RequireFields<QueryProductsArgs, 'sort' | 'first'>>;
  order?: Resolver<Maybe<ResolversTypes['Order']>, ParentType, ContextType, RequireFields<QueryOrderArgs, 'id'>>;
  orders?: Resolver<ResolversTypes['OrderConnection'], ParentType, ContextType, RequireFields<QueryOrdersArgs, 'sort' | 'first'>>;
  account?: Resolver<Maybe<ResolversTypes['Account']>, ParentType, ContextType, RequireFields<QueryAccountArgs, 'id'>>;
  transactions?: Resolver<ResolversTypes['TransactionConnection'], ParentType, ContextType, RequireFields<QueryTransactionsArgs, 'accountId' | 'sort' | 'first'>>;
  timeline?: Resolver<ReadonlyArray<ResolversTypes['TimelineEntry']>, ParentType, ContextType, RequireFields<QueryTimelineArgs, 'aggregateId'>>;
};

export type OrderStatusChangedResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['OrderStatusChanged'] = ResolversParentTypes['OrderStatusChanged']> = {
  kind?: Resolver<ResolversTypes['StreamEventKind'], ParentType, ContextType>;
  cursor?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  order?: Resolver<Maybe<ResolversTypes['Order']>, ParentType, ContextType>;
  status?: Resolver<Maybe<ResolversTypes['OrderStatus']>, ParentType, ContextType>;
  previousStatus?: Resolver<Maybe<ResolversTypes['OrderStatus']>, ParentType, ContextType>;
  reason?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  at?: Resolver<Maybe<ResolversTypes['DateTime']>, ParentType, ContextType>;
};

export type BalanceChangedResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['BalanceChanged'] = ResolversParentTypes['BalanceChanged']> = {
  kind?: Resolver<ResolversTypes['StreamEventKind'], ParentType, ContextType>;
  cursor?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  account?: Resolver<Maybe<ResolversTypes['Account']>, ParentType, ContextType>;
  balance?: Resolver<Maybe<ResolversTypes['Decimal']>, ParentType, ContextType>;
  transaction?: Resolver<Maybe<ResolversTypes['Transaction']>, ParentType, ContextType>;
  at?: Resolver<Maybe<ResolversTypes['DateTime']>, ParentType, ContextType>;
};

export type SubscriptionResolvers<ContextType = RequestContext, ParentType extends ResolversParentTypes['Subscription'] = ResolversParentTypes['Subscription']> = {
  orderStatusChanged?: SubscriptionResolver<ResolversTypes['OrderStatusChanged'], "orderStatusChanged", ParentType, ContextType, Partial<SubscriptionOrderStatusChangedArgs>>;
  stockChanged?: SubscriptionResolver<Maybe<ResolversTypes['Product']>, "stockChanged", ParentType, ContextType, RequireFields<SubscriptionStockChangedArgs, 'productId'>>;
  balanceChanged?: SubscriptionResolver<ResolversTypes['BalanceChanged'], "balanceChanged", ParentType, ContextType, RequireFields<SubscriptionBalanceChangedArgs, 'accountId'>>;
};

export type Resolvers<ContextType = RequestContext> = {
  Decimal?: GraphQLScalarType;
  DateTime?: GraphQLScalarType;
  JSON?: GraphQLScalarType;
  User?: UserResolvers<ContextType>;
  Product?: ProductResolvers<ContextType>;
  Order?: OrderResolvers<ContextType>;
  OrderItem?: OrderItemResolvers<ContextType>;
  OrderPayment?: OrderPaymentResolvers<ContextType>;
  OrderHistoryEntry?: OrderHistoryEntryResolvers<ContextType>;
  Account?: AccountResolvers<ContextType>;
  Transaction?: TransactionResolvers<ContextType>;
  PageInfo?: PageInfoResolvers<ContextType>;
  UserConnection?: UserConnectionResolvers<ContextType>;
  UserEdge?: UserEdgeResolvers<ContextType>;
  ProductConnection?: ProductConnectionResolvers<ContextType>;
  ProductEdge?: ProductEdgeResolvers<ContextType>;
  OrderConnection?: OrderConnectionResolvers<ContextType>;
  OrderEdge?: OrderEdgeResolvers<ContextType>;
  TransactionConnection?: TransactionConnectionResolvers<ContextType>;
  TransactionEdge?: TransactionEdgeResolvers<ContextType>;
  TimelineEntry?: TimelineEntryResolvers<ContextType>;
  Query?: QueryResolvers<ContextType>;
  OrderStatusChanged?: OrderStatusChangedResolvers<ContextType>;
  BalanceChanged?: BalanceChangedResolvers<ContextType>;
  Subscription?: SubscriptionResolvers<ContextType>;
};
