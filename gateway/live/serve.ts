import type { FastifyInstance } from 'fastify';
import { pageHeaders, pagePolicy } from '../pages.js';
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
    app.get(path, (_request, reply) => reply.headers(pageHeaders(type, pagePolicy(), 'no-cache')).send(text));
  }
}
