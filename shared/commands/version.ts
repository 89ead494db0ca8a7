import { AppError } from '../errors/errors.js';

/** @throws AppError CONFLICT, with the version that is there, unless the client's `expectedVersion` is absent or right. */
export function expectVersion(state: { readonly version: number }, expected: number | null | undefined): void {
  if (expected === null || expected === undefined || expected === state.version) return;
  throw new AppError(
    'CONFLICT',
    `Version ${expected} was expected, but it is ${state.version} by now; read it again.`,
    {
      field: 'expectedVersion',
      details: { version: state.version },
    },
  );
}
