import { afterEach, expect, test } from '@jest/globals';
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace';
import { SAMPLERS, type SamplerName } from '../config/tracing.js';
import { AppError } from '../errors/errors.js';
import { openTracer } from './opentelemetry.js';
import { isTraceparent, setTracer, traceparentWithin, tracer, traceTransaction, within, type Span } from './tracing.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = `00-${TRACE}-b7ad6b7169203331-01`;

function recording(sampler: SamplerName = 'parentbased_always_on', ratio = 1) {
  const exporter = new InMemorySpanExporter();
  const processor = new SimpleSpanProcessor({ exporter });
  const settings = { sampler, ratio };
  setTracer(openTracer({ serviceName: 'test', settings, messagingSystem: 'sqlite', processor }));
  const start = (parent: string | null, links: readonly string[] = []): Span => {
    const span = tracer?.start('work', 'consumer', parent, { a: 1 }, links);
    if (span === undefined) throw new Error('Tracing is off.');
    return span;
  };
  return { start, ended: () => exporter.getFinishedSpans() };
}

afterEach(() => setTracer(undefined));

test('a span belongs to its parent, links to others, and names itself for what it causes', () => {
  const { start, ended } = recording();
  const parent = start(PARENT);
  const child = start(parent.traceparent, [PARENT, 'nonsense']);
  child.end();
  parent.end('UNAVAILABLE');
  const [inner, outer] = ended();
  expect(isTraceparent(child.traceparent)).toBe(true);
  expect(outer?.parentSpanContext).toMatchObject({ traceId: TRACE, spanId: 'b7ad6b7169203331' });
  expect(inner?.parentSpanContext?.spanId).toBe(outer?.spanContext().spanId);
  expect(inner?.links.map(({ context }) => context.spanId)).toEqual(['b7ad6b7169203331']);
  expect(inner?.attributes).toEqual({ a: 1, 'messaging.system': 'sqlite' });
  expect(outer?.attributes).toMatchObject({ 'error.type': 'UNAVAILABLE' });
});

test.each(['', 'nonsense', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`, `00-${TRACE}-${'0'.repeat(16)}-01`, null])(
  'under %p, which is no trace context, a new trace begins',
  (parent) => {
    const { start, ended } = recording();
    start(parent).end();
    expect(ended()[0]?.parentSpanContext).toBeUndefined();
  },
);

test.each(SAMPLERS)('%s keeps what it should, and what is not kept is still handed on', (sampler) => {
  const kept = (parent: string | null, ratio: number): boolean => {
    const { start, ended } = recording(sampler, ratio);
    const span = start(parent);
    span.set('b', 2);
    span.end();
    expect(span.traceparent.endsWith(ended().length > 0 ? '-01' : '-00')).toBe(true);
    return ended().length > 0;
  };
  const bySampler: Readonly<Record<SamplerName, readonly boolean[]>> = {
    // Parent sampled, parent not sampled, no parent with a share of 1, and of 0.
    parentbased_always_on: [true, false, true, true],
    parentbased_always_off: [true, false, false, false],
    parentbased_traceidratio: [true, false, true, false],
    always_on: [true, true, true, true],
    always_off: [false, false, false, false],
    traceidratio: [true, true, true, false],
  };
  const unsampled = `${PARENT.slice(0, -2)}00`;
  expect([kept(PARENT, 1), kept(unsampled, 1), kept(null, 1), kept(null, 0)]).toEqual(bySampler[sampler]);
});

test('work that fails is told by its code, or by the name of its error, and never by its message', async () => {
  const { start, ended } = recording();
  const secret = 'jane@example.com';
  const failing = (error: Error) => within(start(PARENT), () => Promise.reject(error)).catch(() => undefined);
  await failing(new AppError('CONFLICT', secret));
  await failing(new TypeError(secret));
  expect(await within(start(PARENT), () => Promise.resolve(7))).toBe(7);
  expect(ended().map(({ attributes }) => attributes['error.type'])).toEqual(['CONFLICT', 'TypeError', undefined]);
  expect(JSON.stringify(ended().map(({ attributes, status, events }) => [attributes, status, events]))).not.toContain(
    secret,
  );
});

test('what is published in a transaction belongs to its span, while tracing is on', () => {
  const { start } = recording();
  const [tx, other] = [{}, {}];
  const span = start(PARENT);
  traceTransaction(tx, span);
  expect([traceparentWithin(tx, PARENT), traceparentWithin(other, PARENT)]).toEqual([span.traceparent, PARENT]);
  setTracer(undefined);
  expect(traceparentWithin(tx, PARENT)).toBe(PARENT);
});
