/** One subscription over graphql-transport-ws, held for as long as the page wants it. */

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5_000;
const PING_EVERY_MS = 10_000;
const PONG_WITHIN_MS = 5_000;

const UNAUTHORIZED = 4401;
/** Closed for what trying again would not change. */
const FINAL = new Set([4400, UNAUTHORIZED, 4403, 4406]);
/** Errors that may be gone when the same is asked again. */
const PASSING = new Set(['UNAVAILABLE', 'RATE_LIMITED', 'PROJECTION_PENDING']);

/**
 * Subscribes, and again whenever the connection is lost; with the last cursor among its variables, which are asked for
 * each time, `onMessage` gets every message once. A connection that has gone silent counts as lost. Answers what ends it.
 *
 * @param {object} options
 * @param {string} options.url
 * @param {() => object} options.credentials asked for with every connection
 * @param {string} options.query
 * @param {() => object} options.variables asked for with every subscription
 * @param {(message: object) => void} options.onMessage gets the value of the subscription's field
 * @param {(state: 'connecting' | 'live' | 'lost') => void} options.onState
 * @param {(error: { message: string, code: string }) => void} options.onEnd it is over and will not come back
 */
export function follow({ url, credentials, query, variables, onMessage, onState, onEnd }) {
  let socket;
  let attempts = 0;
  let over = false;
  let retry;
  let heartbeat;
  let silence;

  const stop = () => {
    over = true;
    clearTimeout(retry);
    clearInterval(heartbeat);
    clearTimeout(silence);
    removeEventListener('online', connectNow);
    socket?.close(1000);
  };

  const end = (error) => {
    if (over) return;
    stop();
    onEnd(error);
  };

  const lose = () => {
    clearInterval(heartbeat);
    clearTimeout(silence);
    const lost = socket;
    socket = undefined;
    lost?.close(1000);
    if (over) return;
    onState('lost');
    // A little by chance, so that many pages do not come back all at once.
    const wait = Math.min(FIRST_WAIT_MS * 2 ** attempts, LONGEST_WAIT_MS) * (0.75 + Math.random() / 2);
    attempts += 1;
    clearTimeout(retry);
    retry = setTimeout(connect, wait);
  };

  const handle = (send, { type, payload }) => {
    switch (type) {
      case 'connection_ack':
        send({ id: '1', type: 'subscribe', payload: { query, variables: variables() } });
        onState('live');
        return;
      case 'next': {
        const [error] = payload.errors ?? [];
        const message = Object.values(payload.data ?? {})[0];
        if (!message) return fail(error);
        attempts = 0;
        onMessage(message);
        return;
      }
      case 'error':
        fail(payload[0]);
        return;
      case 'complete':
        lose();
        return;
      case 'ping':
        send({ type: 'pong' });
        return;
      case 'pong':
        attempts = 0;
        clearTimeout(silence);
    }
  };

  const fail = (error) => {
    const { message = 'The subscription failed.', extensions = {} } = error ?? {};
    if (PASSING.has(extensions.code)) lose();
    else end({ message, code: extensions.code ?? 'INTERNAL' });
  };

  const connect = () => {
    if (over || socket !== undefined) return;
    if (attempts === 0) onState('connecting');
    const opened = new WebSocket(url, 'graphql-transport-ws');
    socket = opened;
    const isCurrent = () => !over && socket === opened;
    const send = (message) => opened.send(JSON.stringify(message));
    opened.addEventListener('open', () => {
      send({ type: 'connection_init', payload: credentials() });
      heartbeat = setInterval(() => {
        send({ type: 'ping' });
        silence = setTimeout(lose, PONG_WITHIN_MS);
      }, PING_EVERY_MS);
    });
    opened.addEventListener('message', ({ data }) => {
      if (isCurrent()) handle(send, JSON.parse(data));
    });
    opened.addEventListener('close', ({ code, reason }) => {
      if (!isCurrent()) return;
      if (code === UNAUTHORIZED || code === 4403) end({ message: 'Please log in again.', code: 'UNAUTHENTICATED' });
      else if (FINAL.has(code)) end({ message: reason || 'The connection was refused.', code: 'INTERNAL' });
      else lose();
    });
  };

  const connectNow = () => {
    clearTimeout(retry);
    connect();
  };

  addEventListener('online', connectNow);
  connect();
  return stop;
}
