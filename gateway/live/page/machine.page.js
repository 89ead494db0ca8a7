/** The states of an order and the ways between them, drawn; the one it is in is lit. */
import { duration, spoken, svg } from './elements.page.js';

const HEIGHT = 56;

/** From left to right where there is room. */
const WIDE = {
  viewBox: '0 0 1120 248',
  width: 146,
  states: {
    PENDING: [74, 90],
    AWAITING_PAYMENT: [317, 90],
    PAID: [560, 90],
    PROCESSING: [803, 90],
    COMPLETED: [1046, 90],
    CANCELED: [317, 214],
  },
  ways: [
    ['PENDING', 'AWAITING_PAYMENT', 'M147 90 H230', 'reserved', [190, 78]],
    ['AWAITING_PAYMENT', 'PAID', 'M390 90 H473', 'paid', [438, 78]],
    ['AWAITING_PAYMENT', 'AWAITING_PAYMENT', 'M345 62 C345 24 289 24 289 48', 'payment failed', [317, 22]],
    ['PAID', 'PROCESSING', 'M633 90 H716', 'prepared', [681, 78]],
    ['PROCESSING', 'COMPLETED', 'M876 90 H959', 'handed over', [924, 78]],
    ['PENDING', 'CANCELED', 'M74 118 V196 Q74 214 92 214 H230', 'out of stock, canceled', [159, 203]],
    ['AWAITING_PAYMENT', 'CANCELED', 'M317 118 V172', 'canceled', [327, 152], 'start'],
    ['PAID', 'CANCELED', 'M560 118 V196 Q560 214 542 214 H404', 'canceled, refunded', [475, 203]],
  ],
};

/** From top to bottom where there is not. */
const NARROW = {
  viewBox: '0 0 340 470',
  width: 146,
  states: {
    PENDING: [74, 30],
    AWAITING_PAYMENT: [74, 132],
    PAID: [74, 234],
    PROCESSING: [74, 336],
    COMPLETED: [74, 438],
    CANCELED: [272, 132],
  },
  narrower: { CANCELED: 110 },
  ways: [
    ['PENDING', 'AWAITING_PAYMENT', 'M74 58 V90', 'stock reserved', [86, 80], 'start'],
    ['AWAITING_PAYMENT', 'PAID', 'M74 160 V192', 'paid', [86, 182], 'start'],
    ['PAID', 'PROCESSING', 'M74 262 V294', 'prepared', [86, 284], 'start'],
    ['PROCESSING', 'COMPLETED', 'M74 364 V396', 'handed over', [86, 386], 'start'],
    ['PENDING', 'CANCELED', 'M147 30 H254 Q272 30 272 48 V90', 'out of stock', [206, 20]],
    ['AWAITING_PAYMENT', 'CANCELED', 'M147 132 H203', '', [0, 0]],
    ['PAID', 'CANCELED', 'M147 234 H254 Q272 234 272 216 V174', 'refunded', [206, 252]],
  ],
};

const room = matchMedia('(min-width: 760px)');

/** A drawing in `place` that shows an order's states; it is made again when the page gets wider or narrower. */
export class Machine {
  #place;
  #order = null;

  constructor(place) {
    this.#place = place;
    room.addEventListener('change', () => this.#draw());
    this.#draw();
  }

  show(order) {
    this.#order = order;
    this.#draw();
  }

  #draw() {
    const layout = room.matches ? WIDE : NARROW;
    const history = this.#order?.history ?? [];
    const current = this.#order?.status;
    const passed = new Set(history.slice(1).map(({ status }, index) => `${history[index].status} ${status}`));
    const words = current === undefined ? 'No order is followed.' : `The order is ${spoken(current).toLowerCase()}.`;
    const drawing = svg(
      'svg',
      { viewBox: layout.viewBox, role: 'img', 'aria-label': `States of an order. ${words}` },
      svg('defs', {}, arrow('way-head'), arrow('way-passed-head')),
      ...layout.ways.map((way) => drawWay(way, passed.has(`${way[0]} ${way[1]}`))),
      ...Object.entries(layout.states).map(([state, at]) =>
        drawState(state, at, layout.narrower?.[state] ?? layout.width, {
          current: state === current,
          // A payment that failed brings an order back: the last time counts.
          reached: history.findLast(({ status }) => status === state)?.at,
          from: this.#order?.createdAt,
        }),
      ),
    );
    this.#place.replaceChildren(drawing);
  }
}

const HEAD = { markerUnits: 'userSpaceOnUse', markerWidth: 10, markerHeight: 10 };

const arrow = (id) =>
  svg(
    'marker',
    { id, class: id, viewBox: '0 0 8 8', refX: 1, refY: 4, ...HEAD, orient: 'auto' },
    svg('path', { d: 'M0 0.5 L7 4 L0 7.5 Z' }),
  );

function drawWay([, , d, label, [x, y], anchor = 'middle'], passed) {
  const kind = passed ? 'way-passed' : 'way';
  return svg(
    'g',
    { class: kind },
    svg('path', { d, 'marker-end': `url(#${kind}-head)` }),
    svg('text', { x, y, 'text-anchor': anchor, class: 'way-label' }, label),
  );
}

function drawState(state, [x, y], width, { current, reached, from }) {
  const kind = current ? 'current' : reached === undefined ? 'ahead' : 'passed';
  const box = (more, name) =>
    svg('rect', {
      x: x - width / 2 - more,
      y: y - HEIGHT / 2 - more,
      width: width + 2 * more,
      height: HEIGHT + 2 * more,
      rx: 14 + more,
      class: name,
    });
  const texts = [svg('text', { x, y: reached === undefined ? y + 5 : y - 3, class: 'state-name' }, spoken(state))];
  if (reached !== undefined) {
    const after = Date.parse(reached) - Date.parse(from);
    texts.push(svg('text', { x, y: y + 16, class: 'state-time' }, after > 0 ? `after ${duration(after)}` : 'created'));
  }
  const halo = current ? [box(5, 'halo')] : [];
  return svg('g', { class: `state ${kind}`, 'data-state': state, 'data-kind': kind }, ...halo, box(0, 'box'), ...texts);
}
