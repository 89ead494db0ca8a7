/** Does `work` alone among all that use the same name on this machine; `busy` is called once if it has to wait. */
export function withLock<T>(
  name: string,
  options: { readonly busy?: () => void; readonly signal?: AbortSignal },
  work: () => T | Promise<T>,
): Promise<T>;
