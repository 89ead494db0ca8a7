/** Spans through OpenTelemetry. Loaded only where traces are asked for. */
import { ROOT_CONTEXT, SpanKind as Kind, SpanStatusCode, trace, type SpanContext } from '@opentelemetry/api';
import { ExportResultCode } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ConsoleSpanExporter,
  ParentBasedSampler,
  SimpleSpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type Sampler,
  type SpanExporter,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace';
import type { SamplerName, TracingSettings } from '../config/tracing.js';
import type { Logger } from './logger.js';
import { isTraceparent, type Span, type SpanKind, type Tracer } from './tracing.js';

/** How long spans wait for company, and how many at most: what comes on top while a collector is away is dropped. */
const EXPORT_EVERY_MS = 1_000;
const MAX_WAITING = 4_096;

/** A collector that does not answer at shutdown is not waited for any longer. */
const FLUSH_WITHIN_MS = 1_500;

export interface OpenTelemetryOptions {
  readonly serviceName: string;
  readonly settings: Pick<TracingSettings, 'sampler' | 'ratio'>;
  /** `kafka`, or what the embedded log is made of. */
  readonly messagingSystem: string;
  readonly processor: SpanProcessor;
}

export interface OpenTracer extends Tracer {
  /** Exports what waits. Does not reject, and takes no longer than a second and a half. */
  close(): Promise<void>;
}

/** A tracer that exports as the settings say; the exporter reads the other `OTEL_EXPORTER_OTLP_…` variables itself. */
export const exportingTracer = (
  {
    serviceName,
    settings,
    messagingSystem,
  }: Omit<OpenTelemetryOptions, 'processor' | 'settings'> & {
    readonly settings: TracingSettings;
  },
  log: Logger,
): OpenTracer => {
  const processor =
    settings.exporter === 'console'
      ? new SimpleSpanProcessor({ exporter: new ConsoleSpanExporter() })
      : new BatchSpanProcessor({
          exporter: new QuietExporter(new OTLPTraceExporter(), log),
          scheduledDelayMillis: EXPORT_EVERY_MS,
          maxQueueSize: MAX_WAITING,
        });
  return openTracer({ serviceName, settings, messagingSystem, processor });
};

export function openTracer({ serviceName, settings, messagingSystem, processor }: OpenTelemetryOptions): OpenTracer {
  const provider = new TracerProvider({
    resource: defaultResource()
      .merge(detectResources({ detectors: [envDetector] }))
      .merge(resourceFromAttributes({ 'service.name': serviceName })),
    sampler: samplerOf(settings),
    spanProcessors: [processor],
  });
  const spans = provider.getTracer('tributary');
  return {
    start(name, kind, parent, attributes, links = []): Span {
      const parentContext = spanContextOf(parent);
      const context = parentContext === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parentContext);
      const messaging = kind === 'producer' || kind === 'consumer';
      const span = spans.startSpan(
        name,
        {
          kind: KINDS[kind],
          attributes: messaging ? { 'messaging.system': messagingSystem, ...attributes } : attributes,
          links: links.flatMap((link) => spanContextOf(link) ?? []).map((linked) => ({ context: linked })),
        },
        context,
      );
      const { traceId, spanId, traceFlags } = span.spanContext();
      return {
        traceparent: `00-${traceId}-${spanId}-0${traceFlags}`,
        set: (attribute, value) => void span.setAttribute(attribute, value),
        end: (failure) => {
          if (failure !== undefined) span.setStatus({ code: SpanStatusCode.ERROR }).setAttribute('error.type', failure);
          span.end();
        },
      };
    },
    close: async () => {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, FLUSH_WITHIN_MS)));
      await Promise.race([provider.shutdown().catch(() => undefined), late]);
      clearTimeout(timer);
    },
  };
}

const KINDS: Readonly<Record<SpanKind, Kind>> = {
  internal: Kind.INTERNAL,
  server: Kind.SERVER,
  client: Kind.CLIENT,
  producer: Kind.PRODUCER,
  consumer: Kind.CONSUMER,
};

function spanContextOf(traceparent: string | null | undefined): SpanContext | undefined {
  if (!isTraceparent(traceparent)) return undefined;
  const [, traceId = '', spanId = '', flags = ''] = traceparent.split('-');
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true };
}

function samplerOf({ sampler, ratio }: Pick<TracingSettings, 'sampler' | 'ratio'>): Sampler {
  const roots: Readonly<Record<SamplerName, () => Sampler>> = {
    always_on: () => new AlwaysOnSampler(),
    always_off: () => new AlwaysOffSampler(),
    traceidratio: () => new TraceIdRatioBasedSampler(ratio),
    parentbased_always_on: () => new ParentBasedSampler({ root: new AlwaysOnSampler() }),
    parentbased_always_off: () => new ParentBasedSampler({ root: new AlwaysOffSampler() }),
    parentbased_traceidratio: () => new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) }),
  };
  return roots[sampler]();
}

/** Says once that a collector is away, and once that it is back; its spans are lost, and nobody waits for it. */
class QuietExporter implements SpanExporter {
  private away = false;

  constructor(
    private readonly inner: SpanExporter,
    private readonly log: Logger,
  ) {}

  export(...[spans, done]: Parameters<SpanExporter['export']>): void {
    this.inner.export(spans, ({ code, error }) => {
      const failed = code !== ExportResultCode.SUCCESS;
      if (failed && !this.away)
        this.log.warn({ err: error }, 'traces are not taken by their collector; they are dropped');
      if (!failed && this.away) this.log.info('traces are taken by their collector again');
      this.away = failed;
      // A failure would be told by the SDK as well, every time.
      done({ code: ExportResultCode.SUCCESS });
    });
  }

  shutdown(): Promise<void> {
    return this.inner.shutdown();
  }
}
