/** The spans of a trace, as a tree. */
import { InMemorySpanExporter, SimpleSpanProcessor, type ReadableSpan } from '@opentelemetry/sdk-trace';
import { openTracer } from '../shared/observability/opentelemetry.js';
import { setTracer } from '../shared/observability/tracing.js';

export interface Recorded {
  /** Those that have ended, of one trace. */
  spansOf(traceId: string): readonly ReadableSpan[];
  /** All that have ended. */
  spans(): readonly ReadableSpan[];
  end(): Promise<void>;
}

/** From now on every span is kept in memory, by the sampler that is the default. */
export function recordSpans(): Recorded {
  const exporter = new InMemorySpanExporter();
  const tracer = openTracer({
    serviceName: 'tributary',
    settings: { sampler: 'parentbased_always_on', ratio: 1 },
    messagingSystem: 'sqlite',
    processor: new SimpleSpanProcessor({ exporter }),
  });
  setTracer(tracer);
  return {
    spans: () => exporter.getFinishedSpans(),
    spansOf: (traceId) => exporter.getFinishedSpans().filter((span) => span.spanContext().traceId === traceId),
    end: async () => {
      setTracer(undefined);
      await tracer.close();
    },
  };
}

const millisecondsOf = ([seconds, nanoseconds]: readonly [number, number]): number => seconds * 1e3 + nanoseconds / 1e6;

/**
 * The names below a span, an indented line each, in the order in which they began.
 * @param times whether each line says when the span began, behind the first, and how long it took
 */
export function treeBelow(spans: readonly ReadableSpan[], parentId: string, times = false): string[] {
  const first = Math.min(...spans.map(({ startTime }) => millisecondsOf(startTime)));
  const below = (id: string, depth: number): string[] =>
    spans
      .filter(({ parentSpanContext }) => parentSpanContext?.spanId === id)
      .sort((a, b) => millisecondsOf(a.startTime) - millisecondsOf(b.startTime))
      .flatMap((span) => {
        const line = `${'  '.repeat(depth)}${span.name}`;
        const began = (millisecondsOf(span.startTime) - first).toFixed(1);
        const told = times
          ? `${line.padEnd(64)}${began.padStart(7)} ${millisecondsOf(span.duration).toFixed(1).padStart(7)}`
          : line;
        return [told, ...below(span.spanContext().spanId, depth + 1)];
      });
  return below(parentId, 0);
}
