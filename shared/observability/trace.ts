/** The trace id in a W3C traceparent (`00-<trace id>-<span id>-<flags>`), for log lines. */
export const traceIdOf = (traceparent: string | null): string | undefined => traceparent?.split('-')[1];
