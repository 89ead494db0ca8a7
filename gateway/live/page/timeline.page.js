/** The events of an order, a row each, with a line that runs through the services' lanes. */
import { duration, html, svg, timeOfDay } from './elements.page.js';

/** Lanes from left to right; whoever else publishes something shares the last one. */
const LANES = ['order', 'product', 'balance', 'other'];
const LANE_WIDTH = 20;
const laneX = (lane) => lane * LANE_WIDTH + LANE_WIDTH / 2;

/** Where it is too long for one line it breaks behind its first part. */
const typeOf = ({ type }) =>
  type.split(/(?<=\.)/).flatMap((part, index) => (index === 0 ? [part] : [html('wbr'), part]));

const serviceOf = ({ source }) => source.split('/').at(-1);
const laneOf = (entry) => {
  const lane = LANES.indexOf(serviceOf(entry));
  return lane === -1 ? LANES.length - 1 : lane;
};

/** Milliseconds since the epoch, finer than Date.now() shows them. */
export const now = () => performance.timeOrigin + performance.now();

/** Fills a table's body. */
export class Timeline {
  #body;
  #rows = new Map();
  #arrivals = new Map();
  #messages = new Map();
  #since = 0;

  constructor(body) {
    this.#body = body;
  }

  /** Begins anew; of what happened before `since` nobody can tell how long it took to get here. */
  clear(since) {
    this.#rows.clear();
    this.#arrivals.clear();
    this.#messages.clear();
    this.#since = since;
    this.#body.replaceChildren();
  }

  get size() {
    return this.#rows.size;
  }

  /** A message of the subscription has brought the order's event of that version. */
  heard(version) {
    if (!this.#messages.has(version)) this.#messages.set(version, now());
  }

  /** All events so far, oldest first. Those that have a row keep it; the others get theirs where they belong. */
  show(entries) {
    const seen = now();
    for (const [index, entry] of entries.entries()) {
      if (!this.#arrivals.has(entry.id)) this.#arrivals.set(entry.id, this.#arrival(entry, seen));
      const links = { before: entries[index - 1], after: entries[index + 1] };
      const key = [links.before?.id, entry.id, links.after?.id].join(' ');
      let row = this.#rows.get(entry.id);
      if (row?.dataset.links !== key) {
        const made = this.#row(entry, links, row === undefined);
        made.dataset.links = key;
        row?.replaceWith(made);
        row = made;
        this.#rows.set(entry.id, row);
      }
      if (this.#body.children[index] !== row) this.#body.insertBefore(row, this.#body.children[index] ?? null);
    }
  }

  /** How long it took to get here, or undefined. The order's own events may have come over the subscription first. */
  #arrival(entry, seen) {
    const happened = Date.parse(entry.at);
    if (happened < this.#since) return undefined;
    const heard = serviceOf(entry) === 'order' ? this.#messages.get(entry.version) : undefined;
    const took = Math.min(seen, heard ?? seen) - happened;
    // The clocks of two machines.
    return took < 0 ? undefined : took;
  }

  #row(entry, { before, after }, isNew) {
    const lane = laneOf(entry);
    const took = this.#arrivals.get(entry.id);
    const cell = (name, label, ...content) => html('td', { class: name, 'data-label': label }, ...content);
    return html(
      'tr',
      { class: isNew ? 'event new' : 'event', 'data-event': entry.type, 'data-id': entry.id },
      html(
        'td',
        { class: 'lanes', 'aria-hidden': 'true' },
        rails(lane, before && laneOf(before), after && laneOf(after)),
      ),
      html('th', { class: 'what', scope: 'row' }, ...typeOf(entry)),
      cell('service', 'Service', html('span', { class: `lane-${lane}` }, serviceOf(entry))),
      cell('topic', 'Topic', entry.topic),
      cell('number partition', 'Partition', String(entry.partition)),
      cell('number offset', 'Offset', entry.offset),
      cell('number time', 'Time', html('time', { datetime: entry.at }, timeOfDay(entry.at))),
      cell('number step', 'After the one before', before === undefined ? '–' : `+${step(before, entry)}`),
      cell('number arrival', 'On this page after', took === undefined ? '–' : duration(took)),
    );
  }
}

/** Services have clocks of their own, which may differ by a little. */
const step = (before, entry) => duration(Math.max(0, Date.parse(entry.at) - Date.parse(before.at)));

/** A row's part of the course: it comes from the lane before and bends half-way to the next, so that rows join up. */
function rails(lane, from, to) {
  const x = laneX(lane);
  const width = (LANES.length - 1) * LANE_WIDTH;
  const parts = LANES.slice(0, -1).map((_, index) =>
    svg('path', { d: `M${laneX(index)} 0 V100`, class: 'rail', 'vector-effect': 'non-scaling-stroke' }),
  );
  const line = (d) => svg('path', { d, class: 'course', 'vector-effect': 'non-scaling-stroke' });
  const half = (other, border) => {
    const [far, near] = [(x + laneX(other)) / 2, (3 * x + laneX(other)) / 4];
    return line(`M${x} 50 C${x} ${50 + border / 2} ${near} ${50 + border * 0.75} ${far} ${50 + border}`);
  };
  if (from !== undefined) parts.push(half(from, -50));
  if (to !== undefined) parts.push(half(to, 50));
  return html(
    'div',
    { class: 'gutter' },
    svg('svg', { viewBox: `0 0 ${width} 100`, preserveAspectRatio: 'none' }, ...parts),
    html('span', { class: `dot at-${lane} lane-${lane}` }),
  );
}
