/** Samplers by the names that OpenTelemetry gives them. */
export const SAMPLERS = [
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
  'always_on',
  'always_off',
  'traceidratio',
] as const;

export type SamplerName = (typeof SAMPLERS)[number];

export interface TracingSettings {
  readonly exporter: 'otlp' | 'console';
  /** Undefined: the names of the processes that run. */
  readonly serviceName: string | undefined;
  readonly sampler: SamplerName;
  /** Of traces that are kept, by the samplers that have one; 0 to 1. */
  readonly ratio: number;
}

export interface TracingVariables {
  readonly OTEL_EXPORTER_OTLP_ENDPOINT?: string | undefined;
  readonly OTEL_TRACES_EXPORTER?: 'otlp' | 'console' | 'none' | undefined;
  readonly OTEL_SERVICE_NAME?: string | undefined;
  readonly OTEL_TRACES_SAMPLER: SamplerName;
  readonly OTEL_TRACES_SAMPLER_ARG: number;
}

/** Undefined: no traces, as when neither an exporter nor a collector's address is given. */
export function tracingOf(e: TracingVariables): TracingSettings | undefined {
  const exporter = e.OTEL_TRACES_EXPORTER ?? (e.OTEL_EXPORTER_OTLP_ENDPOINT === undefined ? 'none' : 'otlp');
  if (exporter === 'none') return undefined;
  return {
    exporter,
    serviceName: e.OTEL_SERVICE_NAME,
    sampler: e.OTEL_TRACES_SAMPLER,
    ratio: e.OTEL_TRACES_SAMPLER_ARG,
  };
}

/** What is wrong with the address of a collector, if anything. */
export function wrongCollectorUrl(value: string): string | undefined {
  const { protocol } = URL.canParse(value) ? new URL(value) : { protocol: '' };
  if (protocol === 'http:' || protocol === 'https:') return undefined;
  return 'must be the address of a collector that takes OTLP over HTTP, for example http://127.0.0.1:4318';
}
