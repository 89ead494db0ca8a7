/** Confirms the address as soon as somebody sees the page, and asks for another mail. */

const VERIFY = 'mutation VerifyEmail($token: String!) { verifyEmail(input: { token: $token }) { user { id } } }';
const RESEND =
  'mutation ResendVerification($email: String!) { resendVerification(input: { email: $email }) { accepted } }';

/** What is shown for an answer: by its reason or else its code. As the gateway has it for those without this script. */
const VERIFIED = {
  done: 'confirmed',
  VALIDATION: 'invalid',
  USED: 'used',
  EXPIRED: 'expired',
  CHANGED: 'changed',
  failed: 'failed',
};
const RESENT = { done: 'sent', VALIDATION: 'address', RATE_LIMITED: 'slow', failed: 'unsent' };

const main = document.querySelector('main');
const confirmForm = document.getElementById('confirm');
const resendForm = document.getElementById('resend');

function show(state) {
  main.dataset.state = state;
  for (const element of main.querySelectorAll('[data-for]')) {
    element.hidden = !element.dataset.for.split(' ').includes(state);
  }
}

/** The first error of the answer; undefined where there is none. */
async function ask(query, variables) {
  const response = await fetch('graphql', {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  return errors?.[0]?.extensions ?? (data == null ? { code: 'INTERNAL' } : undefined);
}

async function run(query, variables, outcomes) {
  show('working');
  const error = await ask(query, variables).catch(() => ({ code: 'OFFLINE' }));
  if (error === undefined) show(outcomes.done);
  else show(outcomes[error.reason ?? error.code] ?? outcomes.failed);
}

const verify = () => run(VERIFY, { token: confirmForm.elements.token.value }, VERIFIED);

confirmForm.addEventListener('submit', (event) => {
  event.preventDefault();
  void verify();
});
resendForm.addEventListener('submit', (event) => {
  event.preventDefault();
  void run(RESEND, { email: resendForm.elements.email.value }, RESENT);
});

if (main.dataset.state === 'asking') {
  // A browser that only prepares for a click has not been told to open the link.
  if (document.prerendering) document.addEventListener('prerenderingchange', () => void verify(), { once: true });
  else void verify();
}
