/**
 * A small subgraph as anybody would write it: Apollo Server for HTTP, graphql-ws for subscriptions, and no word of the
 * gateway. Reviews are kept in memory.
 */
import { EventEmitter, on } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { GraphQLError, parse } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { identityOf } from './identity.mjs';

const HTTP_PORT = Number(process.env.PORT ?? 5001);
const WS_PORT = Number(process.env.WS_PORT ?? 5002);

/** Newest first. */
const reviews = [];
const added = new EventEmitter().setMaxListeners(0);

const reviewsOf = (productId) => reviews.filter((review) => review.productId === productId);

const resolvers = {
  Query: {
    review: (_, { id }) => reviews.find((review) => review.id === id),
    latestReviews: (_, { first }) => reviews.slice(0, first),
  },
  Mutation: {
    addReview: (_, { input }, { identity }) => {
      if (input.rating < 1 || input.rating > 5) {
        // A code that the gateway's clients know, and the field at fault.
        throw new GraphQLError('A rating is 1 to 5.', { extensions: { code: 'VALIDATION', field: 'rating' } });
      }
      const review = { ...input, id: String(reviews.length + 1), authorId: identity?.userId ?? null };
      reviews.unshift(review);
      added.emit('review', review);
      return review;
    },
  },
  Subscription: {
    reviewAdded: {
      subscribe: (_, { productId }) => {
        const events = on(added, 'review');
        const results = {
          next: async () => {
            for (;;) {
              const { done, value } = await events.next();
              if (done) return { done, value: undefined };
              const [review] = value;
              if (productId == null || review.productId === productId) return { done, value: { reviewAdded: review } };
            }
          },
          // Ends it at once; that of an async generator would wait for one more review.
          return: () => events.return(),
          [Symbol.asyncIterator]: () => results,
        };
        return results;
      },
    },
  },
  Review: {
    __resolveReference: ({ id }) => reviews.find((review) => review.id === id),
    product: ({ productId }) => ({ id: productId }),
    author: ({ authorId }) => (authorId === null ? null : { id: authorId }),
  },
  Product: {
    __resolveReference: ({ id }) => ({ id }),
    reviews: ({ id }, { first }) => reviewsOf(id).slice(0, first),
    rating: ({ id }) => {
      const ratings = reviewsOf(id).map(({ rating }) => rating);
      return ratings.length === 0 ? null : ratings.reduce((sum, one) => sum + one, 0) / ratings.length;
    },
  },
};

const typeDefs = parse(readFileSync(join(import.meta.dirname, 'schema.graphql'), 'utf8'));
const schema = buildSubgraphSchema([{ typeDefs, resolvers }]);

const { url } = await startStandaloneServer(new ApolloServer({ schema }), {
  listen: { host: '127.0.0.1', port: HTTP_PORT },
  context: async ({ req }) => ({ identity: identityOf(req.headers['x-tributary-identity']) }),
});

const sockets = new WebSocketServer({ host: '127.0.0.1', port: WS_PORT, path: '/' });
useServer(
  {
    schema,
    // One socket carries the operations of many people, so each operation says for whom it is.
    context: (_connection, _id, { extensions }) => ({ identity: identityOf(extensions?.identity) }),
  },
  sockets,
);

console.log(`Reviews at ${url} and ws://127.0.0.1:${WS_PORT}/`);
