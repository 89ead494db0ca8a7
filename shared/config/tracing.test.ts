import { expect, test } from '@jest/globals';
import { ConfigError, readConfig } from './config.js';

const COLLECTOR = 'http://127.0.0.1:4318';

test.each([
  [{}, undefined],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: COLLECTOR }, 'otlp'],
  [{ OTEL_TRACES_EXPORTER: 'otlp' }, 'otlp'],
  [{ OTEL_TRACES_EXPORTER: 'console' }, 'console'],
  [{ OTEL_TRACES_EXPORTER: 'none', OTEL_EXPORTER_OTLP_ENDPOINT: COLLECTOR }, undefined],
  [{ OTEL_SERVICE_NAME: 'shop', OTEL_TRACES_SAMPLER: 'always_on' }, undefined],
])('with %o traces go to %s', (env, exporter) => {
  expect(readConfig(env).tracing?.exporter).toBe(exporter);
});

test.each([
  ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4317'],
  ['OTEL_TRACES_EXPORTER', 'zipkin'],
  ['OTEL_TRACES_SAMPLER', 'sometimes'],
  ['OTEL_TRACES_SAMPLER_ARG', '1.5'],
  ['OTEL_TRACES_SAMPLER_ARG', '-1'],
  ['DEBUG_EXTENSIONS', 'true'],
])('%s does not take %s, and gives an example', (name, value) => {
  const read = () => readConfig({ [name]: value });
  expect(read).toThrow(ConfigError);
  expect(read).toThrow(new RegExp(`^${name}: must be .* for example `));
});

test.each([
  [{}, { always: false, everybody: true }],
  [{ AUTH_MODE: 'required' }, { always: false, everybody: false }],
  [
    { AUTH_MODE: 'required', DEBUG_EXTENSIONS: 'on' },
    { always: true, everybody: false },
  ],
])('with %o answers say what led to them: %o', (env, debug) => {
  expect(readConfig(env).debug).toEqual(debug);
});
