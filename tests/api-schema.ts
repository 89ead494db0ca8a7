import { Supergraph } from '@apollo/federation-internals';
import type { GraphQLSchema } from 'graphql';
import supergraphSdl from '../supergraph.graphql';

/** What clients see: the composed graph without the gateway's own directives. */
export const apiSchema = (): GraphQLSchema => Supergraph.build(supergraphSdl).apiSchema().toGraphQLJSSchema();
