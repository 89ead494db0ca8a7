/** The exporter against a collector: what goes over the wire is OTLP over HTTP, as JSON. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { afterEach, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { until } from '../../tests/until.js';
import { exportingTracer } from './opentelemetry.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const one of undo.splice(0)) await one();
});

interface Export {
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

/** A collector on a free port, which answers with what `status` says at the time. */
async function collector() {
  const exports: Export[] = [];
  const answers = { status: 200 };
  const server = createServer((request, response) => {
    void json(request).then((body) => {
      exports.push({ url: request.url, headers: request.headers, body });
      response.writeHead(answers.status, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  undo.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  return { exports, answers, url: `http://127.0.0.1:${port}` };
}

function setting(name: string, value: string): void {
  const before = process.env[name];
  process.env[name] = value;
  undo.push(() => {
    if (before === undefined) Reflect.deleteProperty(process.env, name);
    else process.env[name] = before;
  });
}

function tracerOf(lines: string[]) {
  const settings = { exporter: 'otlp', serviceName: undefined, sampler: 'always_on', ratio: 1 } as const;
  const log = pino({}, { write: (line: string) => void lines.push(line) });
  return exportingTracer({ serviceName: 'order-api', settings, messagingSystem: 'kafka' }, log);
}

test('spans reach a collector as OTLP in JSON, with the headers that were asked for', async () => {
  const { exports, url } = await collector();
  setting('OTEL_EXPORTER_OTLP_ENDPOINT', url);
  setting('OTEL_EXPORTER_OTLP_HEADERS', 'x-api-key=k');
  const tracer = tracerOf([]);
  const span = tracer.start('order.stock stock.reserved', 'consumer', `00-${TRACE}-${SPAN}-01`, { count: 2 });
  span.end('CONFLICT');
  await tracer.close();

  const [, , spanId] = span.traceparent.split('-');
  expect(exports).toHaveLength(1);
  expect(exports[0]?.url).toBe('/v1/traces');
  expect(exports[0]?.headers).toMatchObject({ 'content-type': 'application/json', 'x-api-key': 'k' });
  const attribute = (key: string, value: object) => expect.objectContaining({ key, value });
  expect(exports[0]?.body).toEqual({
    resourceSpans: [
      expect.objectContaining({
        resource: expect.objectContaining({
          attributes: expect.arrayContaining([attribute('service.name', { stringValue: 'order-api' })]),
        }),
        scopeSpans: [
          expect.objectContaining({
            spans: [
              expect.objectContaining({
                traceId: TRACE,
                parentSpanId: SPAN,
                spanId,
                name: 'order.stock stock.reserved',
                // CONSUMER and ERROR.
                kind: 5,
                status: expect.objectContaining({ code: 2 }),
                startTimeUnixNano: expect.stringMatching(/^\d{19}$/),
                endTimeUnixNano: expect.stringMatching(/^\d{19}$/),
                attributes: expect.arrayContaining([
                  attribute('count', { intValue: 2 }),
                  attribute('messaging.system', { stringValue: 'kafka' }),
                  attribute('error.type', { stringValue: 'CONFLICT' }),
                ]),
              }),
            ],
          }),
        ],
      }),
    ],
  });
});

test('a collector that takes nothing is told of once, and so is that it does again', async () => {
  const { exports, answers, url } = await collector();
  setting('OTEL_EXPORTER_OTLP_ENDPOINT', url);
  const lines: string[] = [];
  const tracer = tracerOf(lines);
  const exportOne = async (): Promise<void> => {
    const before = exports.length;
    tracer.start('work', 'internal', null, {}).end();
    await until(() => exports.length > before);
  };
  // 400 is final; after 503 the exporter would try again for a while.
  answers.status = 400;
  await exportOne();
  await exportOne();
  answers.status = 200;
  await exportOne();
  await tracer.close();
  expect(lines).toEqual([
    expect.stringContaining('traces are not taken by their collector'),
    expect.stringContaining('traces are taken by their collector again'),
  ]);
});
