import type { FastifyInstance } from 'fastify';
import elements from './page/elements.page.js';
import following from './page/following.page.js';
import graph from './page/graph.page.js';
import icon from './page/icon.svg';
import page from './page/index.html';
import machine from './page/machine.page.js';
import main from './page/main.page.js';
import order from './page/order.page.js';
import style from './page/live.css';
import timeline from './page/timeline.page.js';

/** Nothing but our own files and our own graph, over HTTP and WebSocket; no markup is ever made of a text. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const SCRIPT = 'text/javascript; charset=utf-8';

const FILES: Readonly<Record<string, readonly [type: string, text: string]>> = {
  '/live': ['text/html; charset=utf-8', page],
  '/live/icon.svg': ['image/svg+xml', icon],
  '/live/live.css': ['text/css; charset=utf-8', style],
  '/live/elements.page.js': [SCRIPT, elements],
  '/live/following.page.js': [SCRIPT, following],
  '/live/graph.page.js': [SCRIPT, graph],
  '/live/machine.page.js': [SCRIPT, machine],
  '/live/main.page.js': [SCRIPT, main],
  '/live/order.page.js': [SCRIPT, order],
  '/live/timeline.page.js': [SCRIPT, timeline],
};

/** Serves the page that follows one order, at `/live`. It asks the graph for everything, as any client does. */
export function registerLive(app: FastifyInstance): void {
  for (const [path, [type, text]] of Object.entries(FILES)) {
    app.get(path, (_request, reply) =>
      reply
        .headers({
          'content-type': type,
          'content-security-policy': CONTENT_SECURITY_POLICY,
          'x-content-type-options': 'nosniff',
          'referrer-policy': 'no-referrer',
          'cache-control': 'no-cache',
        })
        .send(text),
    );
  }
}
