/** The inbox of a demo: a list of mails, and one of them in a frame that runs nothing. Looks for new ones by itself. */
import { byId, html, spoken } from '../live/elements.page.js';

/** Between two looks. */
const LOOK_MS = 1_000;

const only = new URLSearchParams(location.search).get('to');
const messagesUrl = new URL('inbox/messages', document.baseURI);
if (only !== null) messagesUrl.searchParams.set('to', only);
byId('only').hidden = only === null;
byId('only-to').textContent = only ?? '';

let mails = null;
let shown = null;

function connection(state, text) {
  byId('connection').dataset.state = state;
  byId('connection-text').textContent = text;
}

async function look() {
  if (document.hidden) return;
  try {
    const answer = await fetch(messagesUrl, { cache: 'no-cache' });
    if (!answer.ok) throw new Error(String(answer.status));
    take(await answer.json());
    connection('live', 'Live');
  } catch {
    connection('lost', 'Connection lost, trying again');
  }
}

function take(found) {
  const first = mails === null;
  const known = new Set((mails ?? []).map(({ id }) => id));
  const fresh = found.filter(({ id }) => !known.has(id));
  const same = fresh.length === 0 && found.length === known.size;
  mails = found;
  if (same && !first) return;
  byId('empty').hidden = mails.length > 0;
  byId('box').hidden = mails.length === 0;
  byId('mails').replaceChildren(...mails.map((mail) => row(mail, !first && !known.has(mail.id))));
  if (!first && fresh.length > 0) byId('announcement').textContent = `New mail: ${fresh[0].subject}`;
  show();
}

function row({ id, kind, to, subject, sentAt }, isNew) {
  const link = html(
    'a',
    { href: `#${id}` },
    html('span', { class: 'recipient' }, to.address),
    html('time', { class: 'when', datetime: sentAt }, clock(sentAt)),
    html('span', { class: 'title' }, subject),
    html('span', { class: 'kind' }, spoken(kind)),
  );
  return html('li', { class: isNew ? 'new' : undefined, 'data-mail': id }, link);
}

/** The mail that the address names, else the newest. */
function show() {
  const mail = mails.find(({ id }) => id === location.hash.slice(1)) ?? mails[0];
  for (const item of byId('mails').children) {
    const current = item.dataset.mail === mail?.id;
    item.firstElementChild.setAttribute('aria-current', String(current));
  }
  if (mail === undefined || mail.id === shown) return;
  shown = mail.id;
  byId('subject').textContent = mail.subject;
  byId('from').textContent = mail.from;
  byId('to').textContent = mail.to.name === '' ? mail.to.address : `${mail.to.name} <${mail.to.address}>`;
  byId('sent').textContent = new Date(mail.sentAt).toLocaleString();
  byId('text').textContent = mail.text;
  const source = new URL(`inbox/messages/${encodeURIComponent(mail.id)}`, document.baseURI);
  // It may be among the newest of one person only.
  source.search = messagesUrl.search;
  byId('frame').src = source.href;
}

function clock(instant) {
  const time = new Date(instant);
  const today = new Date().toDateString() === time.toDateString();
  return today ? time.toLocaleTimeString() : time.toLocaleDateString();
}

function showAs(plain) {
  byId('text').hidden = !plain;
  byId('frame').hidden = plain;
  byId('as-text').setAttribute('aria-pressed', String(plain));
  byId('as-html').setAttribute('aria-pressed', String(!plain));
}

byId('as-html').addEventListener('click', () => showAs(false));
byId('as-text').addEventListener('click', () => showAs(true));
addEventListener('hashchange', () => {
  if (mails !== null) show();
});
document.addEventListener('visibilitychange', () => void look());

/** One look after the other, however long each takes. */
async function keepLooking() {
  await look();
  setTimeout(() => void keepLooking(), LOOK_MS);
}
void keepLooking();
