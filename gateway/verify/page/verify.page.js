/** Confirms the address as soon as the page is open, and asks for another mail. */

const VERIFY = 'mutation VerifyEmail($token: String!) { verifyEmail(input: { token: $token }) { user { id } } }';
const RESEND =
  'mutation ResendVerification($email: String!) { resendVerification(input: { email: $email }) { accepted } }';

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

/** `wrong` is shown for VALIDATION. As the gateway does it for those without this script. */
async function run(query, variables, done, wrong) {
  show('working');
  const error = await ask(query, variables).catch(() => ({ code: 'OFFLINE' }));
  if (error === undefined) show(done);
  else if (error.code === 'VALIDATION') show(wrong);
  else if (error.code === 'INVALID_STATE') show(String(error.reason).toLowerCase());
  else if (error.code === 'RATE_LIMITED') show('slow');
  else show('failed');
}

const verify = () => run(VERIFY, { token: confirmForm.elements.token.value }, 'confirmed', 'invalid');

confirmForm.addEventListener('submit', (event) => {
  event.preventDefault();
  void verify();
});
resendForm.addEventListener('submit', (event) => {
  event.preventDefault();
  void run(RESEND, { email: resendForm.elements.email.value }, 'sent', 'address');
});

if (main.dataset.state === 'asking') void verify();
