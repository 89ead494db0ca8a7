/** Follows one order: places it, shows what happens to it, and offers what may be done next. */
import { byId, duration, html, money, spoken } from './elements.page.js';
import { follow } from './following.page.js';
import { Graph, WATCH } from './graph.page.js';
import { Machine } from './machine.page.js';
import { possible, showOrder } from './order.page.js';
import { now, Timeline } from './timeline.page.js';

/** Stock and payment have events of which the subscription says nothing: looked for once more, ever later. */
const LOOK_AGAIN_MS = [0, 100, 400, 1_500, 4_000];

/** Errors that the next look may not meet. */
const PASSING = new Set(['PROJECTION_PENDING', 'RATE_LIMITED', 'UNAVAILABLE']);

const graph = new Graph(new URL('graphql', document.baseURI).href);
const machine = new Machine(byId('machine'));
const timeline = new Timeline(byId('events'));

let me = null;
let order = null;
let followed = null;
/** Of the last message that was dealt with; outlives connections, and logging in again. */
let cursor = null;
let unfollow = () => undefined;
/** Kept until an order was placed with it: pressed again after a lost answer, the button gives the same order. */
let orderKey = newKey();
let looking = 0;

// ---- Following

function start(id, since, first = null) {
  stop();
  followed = id;
  order = null;
  cursor = null;
  timeline.clear(since);
  history.replaceState(null, '', `#order=${id}`);
  tell('');
  if (first !== null) take(first);
  listen();
}

function listen() {
  const id = followed;
  unfollow = follow({
    url: graph.socketUrl,
    credentials: () => graph.credentials,
    query: WATCH,
    variables: () => ({ orderId: id, after: cursor }),
    onMessage: (message) => {
      hear(message);
      cursor = message.cursor;
    },
    onState: showConnection,
    onEnd: (error) => {
      showConnection('ended');
      if (error.code === 'UNAUTHENTICATED') askToLogIn(error.message);
      else fail(error);
    },
  });
}

function stop() {
  unfollow();
  unfollow = () => undefined;
  looking += 1;
}

function hear({ kind, order: changed }) {
  if (kind === 'GAP') {
    tell('Some changes were missed and cannot be delivered any more. Here is how things stand now.');
    return;
  }
  if (changed === null) return;
  timeline.heard(changed.version);
  take(changed);
  void look();
}

/** The newest version counts, wherever it comes from; the same one again may know more of the payment. */
function take(changed) {
  if (changed?.id !== followed || (order !== null && changed.version < order.version)) return;
  const reached = changed.status !== order?.status;
  order = changed;
  if (reached) announce(changed);
  render();
}

/** Reads the timeline now and a few times more; a later call takes over. */
async function look() {
  const turn = ++looking;
  for (const wait of LOOK_AGAIN_MS) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    if (turn !== looking) return;
    try {
      const id = followed;
      const entries = await graph.timeline(id);
      if (turn !== looking) return;
      timeline.show(entries);
      renderEvents();
      // Of a refund, for one, the subscription says nothing.
      const newest = Math.max(...entries.filter(({ topic }) => topic === 'orders').map(({ version }) => version));
      if (order !== null && newest > order.version) take(await graph.order(id, newest));
    } catch (error) {
      if (PASSING.has(error.code)) continue;
      // The connection tells of itself, and coming back it looks again.
      if (error.code !== 'OFFLINE') fail(error);
      return;
    }
  }
}

// ---- Showing

const CONNECTION = {
  idle: 'No order yet',
  connecting: 'Connecting',
  live: 'Live',
  lost: 'Connection lost, resuming',
  ended: 'Ended',
};

let connection = 'idle';

function showConnection(state) {
  const resumed = connection === 'lost' && state === 'live';
  connection = state;
  byId('connection').dataset.state = state;
  byId('connection-text').textContent = CONNECTION[state];
  if (resumed) void look();
}

function announce({ status, createdAt, history: reached }) {
  const { at } = reached.at(-1) ?? { at: createdAt };
  const after = Date.parse(at) - Date.parse(createdAt);
  byId('announcement').textContent =
    after > 0 ? `${spoken(status)}, ${duration(after)} after it was placed.` : `${spoken(status)}.`;
}

function render() {
  machine.show(order);
  byId('order-empty').hidden = order !== null;
  byId('facts').hidden = order === null;
  if (order !== null) showOrder(byId('facts'), order);
  const { pay, cancel, next } = possible(order);
  enable('pay', pay);
  enable('cancel', cancel);
  enable('next', next !== undefined);
  byId('next').hidden = me?.role !== 'ADMIN';
  byId('next').textContent = next === undefined ? 'Next status' : `Move to ${spoken(next)}`;
  byId('steps').hidden = order === null;
}

function renderEvents() {
  byId('events-empty').hidden = timeline.size > 0;
  byId('table').hidden = timeline.size === 0;
  byId('count').textContent = timeline.size === 1 ? '1 event' : `${timeline.size} events`;
}

/** Stays focusable, so that the keyboard does not lose its place. */
const enable = (id, possible) => byId(id).setAttribute('aria-disabled', String(!possible));

function tell(text) {
  byId('notice').textContent = text;
}

function fail({ message }) {
  byId('problem').textContent = message;
}

// ---- Doing

/** Runs what a button is for: not while it runs already, and not while it is disabled. */
function onPress(id, act) {
  const button = byId(id);
  button.addEventListener('click', async () => {
    if (button.getAttribute('aria-disabled') === 'true' || button.getAttribute('aria-busy') === 'true') return;
    button.setAttribute('aria-busy', 'true');
    byId('problem').textContent = '';
    try {
      await act();
    } catch (error) {
      if (error.code === 'UNAUTHENTICATED') askToLogIn('Please log in again.');
      else fail(error);
    } finally {
      button.removeAttribute('aria-busy');
    }
  });
}

/** What a mutation answers is the newest there is. */
async function change(act) {
  take(await act(followed));
  void look();
}

onPress('place', async () => {
  const since = now();
  const placed = await graph.createOrder(byId('product').value, orderKey);
  orderKey = newKey();
  renderEvents();
  start(placed.id, since, placed);
  renderEvents();
});
onPress('pay', () => change((id) => graph.pay(id)));
onPress('cancel', () => change((id) => graph.cancel(id)));
onPress('next', () => change((id) => graph.move(id, possible(order).next)));

/** Not randomUUID: a page on plain HTTP has none. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `live-${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

// ---- Who is there

function askToLogIn(reason) {
  graph.forget();
  stop();
  byId('log-in').hidden = false;
  byId('place-form').hidden = true;
  byId('log-out').hidden = true;
  byId('who').textContent = '';
  byId('log-in-reason').textContent = reason;
  byId('email').focus();
}

byId('log-in').addEventListener('submit', async (event) => {
  event.preventDefault();
  const password = byId('password');
  byId('log-in-problem').textContent = '';
  try {
    me = await graph.logIn(byId('email').value, password.value);
    byId('log-in').hidden = true;
    await welcome();
    byId('place').focus();
  } catch ({ message }) {
    byId('log-in-problem').textContent = message;
  } finally {
    password.value = '';
  }
});

byId('log-out').addEventListener('click', () => {
  me = null;
  order = null;
  followed = null;
  history.replaceState(null, '', location.pathname);
  timeline.clear(now());
  render();
  renderEvents();
  askToLogIn('You are logged out.');
  showConnection('idle');
});

async function welcome() {
  byId('who').textContent = me.name;
  byId('log-out').hidden = !graph.hasToken;
  const products = await graph.products();
  // The one there is most of: whoever plays here should not empty the shop.
  const plenty = products.reduce((most, one) => (one.available > (most?.available ?? 0) ? one : most), undefined);
  byId('product').replaceChildren(
    ...products.map(({ id, name, price }) => html('option', { value: id }, `${name} · ${money(price)}`)),
  );
  if (plenty === undefined) fail({ message: 'Nothing is in stock, so nothing can be ordered.' });
  else byId('product').value = plenty.id;
  enable('place', plenty !== undefined);
  byId('place-form').hidden = false;
  render();
  const asked = new URLSearchParams(location.hash.slice(1)).get('order');
  if (followed !== null) listen();
  else if (asked !== null) start(asked, now());
}

async function begin() {
  render();
  renderEvents();
  try {
    me = await graph.caller();
    if (me === null) askToLogIn('This gateway wants to know who you are.');
    else await welcome();
  } catch (error) {
    fail(error);
  }
}

addEventListener('hashchange', () => {
  const asked = new URLSearchParams(location.hash.slice(1)).get('order');
  if (asked !== null && asked !== followed && me !== null) start(asked, now());
});

await begin();
