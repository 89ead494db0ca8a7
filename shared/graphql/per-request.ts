/** Makes one thing per request, a DataLoader for one, the first time the request asks; it goes when the request goes. */
export interface PerRequest<C extends object, T> {
  (context: C): T;
  /** Forgets it, so that the next call makes a new one: for subscriptions, whose every message is a request of its own. */
  renew(context: C): void;
}

export function perRequest<C extends object, T>(make: (context: C) => T): PerRequest<C, T> {
  const made = new WeakMap<C, T>();
  const get = (context: C): T => {
    const known = made.get(context);
    if (known !== undefined) return known;
    const fresh = make(context);
    made.set(context, fresh);
    return fresh;
  };
  return Object.assign(get, {
    renew(context: C) {
      made.delete(context);
    },
  });
}
