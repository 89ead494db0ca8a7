import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError } from '../../shared/errors/errors.js';
import { ANONYMOUS } from '../../shared/identity/identity.js';
import { clientAddress } from '../addresses.js';
import type { Admission } from '../admission.js';
import { pageHeaders, pagePolicy } from '../pages.js';
import type { RunOperation } from '../run.js';
import { languageOf, verifyPage, type State } from './page.js';
import script from './page/verify.page.js';
import style from './page/verify.css';

const headersOf = (type: string, caching: 'no-cache' | 'no-store') => ({
  ...pageHeaders(`${type}; charset=utf-8`, pagePolicy({ 'form-action': "'self'" }), caching),
  // The link is in the address, so others are told nothing; with `no-referrer` our own form would come from nowhere.
  'referrer-policy': 'same-origin',
});

const VERIFY = 'mutation VerifyEmail($token: String!) { verifyEmail(input: { token: $token }) { user { id } } }';
const RESEND =
  'mutation ResendVerification($email: String!) { resendVerification(input: { email: $email }) { accepted } }';

/** What is shown for an answer: by its reason or else its code; `failed` stands for all others. As the page's script has it. */
type Outcomes = Readonly<Record<string, State>> & { readonly done: State; readonly failed: State };
const VERIFIED: Outcomes = {
  done: 'confirmed',
  VALIDATION: 'invalid',
  USED: 'used',
  EXPIRED: 'expired',
  CHANGED: 'changed',
  failed: 'failed',
};
const RESENT: Outcomes = { done: 'sent', VALIDATION: 'address', RATE_LIMITED: 'slow', failed: 'unsent' };

export interface VerifyDeps {
  readonly admission: Pick<Admission, 'admit'>;
  readonly run: RunOperation;
  readonly trustedProxies: number;
}

/**
 * Serves the page that links in verification mails lead to, at `/verify?token=`. Fetching it changes nothing, since mail
 * scanners follow links: its script sends the mutation, or a form does where there is no script. A scanner that runs scripts
 * confirms as a person does.
 */
export function registerVerify(app: FastifyInstance, { admission, run, trustedProxies }: VerifyDeps): void {
  /** What the graph makes of it, asked as any client asks. */
  const ask = async (request: FastifyRequest, query: string, variables: object, outcomes: Outcomes): Promise<State> => {
    try {
      const asking = { identity: ANONYMOUS, address: clientAddress(request.raw, trustedProxies) };
      const operation = await admission.admit({ query, variables }, asking, request.headers);
      const { errors } = (await run(operation)).result;
      return errors?.[0] === undefined ? outcomes.done : stateOf(outcomes, errors[0].extensions);
    } catch (error) {
      return stateOf(outcomes, error instanceof AppError ? { code: error.code } : {});
    }
  };
  const page = ({ headers }: FastifyRequest, state: State, token?: string) =>
    verifyPage(languageOf(headers['accept-language']), state, token);
  const html = { ...headersOf('text/html', 'no-store'), vary: 'accept-language' };

  app.get('/verify', (request, reply) =>
    reply.headers(html).send(page(request, 'asking', valueOf(request.query, 'token'))),
  );
  const file = (path: string, type: string, text: string) =>
    app.get(path, (_request, reply) => reply.headers(headersOf(type, 'no-cache')).send(text));
  file('/verify/verify.css', 'text/css', style);
  file('/verify/verify.page.js', 'text/javascript', script);

  // Forms are read here and nowhere else: to the graph a page of anybody's could send them.
  void app.register((scope, _options, ready) => {
    scope.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, parsed) =>
      parsed(null, Object.fromEntries(new URLSearchParams(String(body)))),
    );
    scope.post('/verify', { bodyLimit: 4_096 }, async (request, reply) => {
      const { body } = request;
      const email = valueOf(body, 'email');
      const token = valueOf(body, 'token');
      const state =
        email === '' ? await ask(request, VERIFY, { token }, VERIFIED) : await ask(request, RESEND, { email }, RESENT);
      return reply.headers(html).send(page(request, state, token));
    });
    ready();
  });
}

const stateOf = (outcomes: Outcomes, error: Readonly<Record<string, unknown>> = {}): State =>
  outcomes[String(error['reason'] ?? error['code'])] ?? outcomes.failed;

/** The field of a form or an address; '' where there is no such text. */
function valueOf(fields: unknown, name: string): string {
  const value = (fields as Readonly<Record<string, unknown>> | undefined)?.[name];
  return typeof value === 'string' ? value : '';
}
