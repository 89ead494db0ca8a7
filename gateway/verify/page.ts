/** The page behind the link in a verification mail, as HTML. */

/** How things stand with a link, or with asking for another one. */
export const STATES = [
  'asking',
  'working',
  'confirmed',
  'used',
  'expired',
  'changed',
  'invalid',
  'sent',
  'address',
  'slow',
  'unsent',
  'failed',
] as const;
export type State = (typeof STATES)[number];

export type Language = 'en' | 'pt-BR';

const TEXTS: Readonly<Record<Language, Readonly<Record<State | 'title' | 'confirm' | 'email' | 'resend', string>>>> = {
  en: {
    title: 'Confirm your e-mail address',
    confirm: 'Confirm',
    email: 'E-mail address',
    resend: 'Send another link',
    asking: 'One press, and your address is confirmed.',
    working: 'One moment …',
    confirmed: 'Your e-mail address is confirmed. You can order now, and close this page.',
    used: 'This link was used already. If it was you, your address is confirmed and there is nothing left to do.',
    expired: 'This link is good no more: links last for ten minutes. Have another one sent to you.',
    changed:
      'The address of the account was changed since this link was sent. Use the link that went to the new address.',
    invalid:
      'This is not a valid link. Perhaps a part of it is missing: copy all of it, or have another one sent to you.',
    sent: 'If somebody has this address and has not confirmed it, a new link is on its way. Look into your mail.',
    address: 'That is not an e-mail address.',
    slow: 'That was quick after the last time. Wait a while, then try again.',
    unsent: 'That did not work. Try again in a moment.',
    failed: 'That did not work. Try again in a moment.',
  },
  'pt-BR': {
    title: 'Confirme seu endereço de e-mail',
    confirm: 'Confirmar',
    email: 'Endereço de e-mail',
    resend: 'Enviar outro link',
    asking: 'Um clique e seu endereço está confirmado.',
    working: 'Um momento …',
    confirmed: 'Seu endereço de e-mail está confirmado. Você já pode fazer pedidos e fechar esta página.',
    used: 'Este link já foi usado. Se foi você, seu endereço está confirmado e não há mais nada a fazer.',
    expired: 'Este link não vale mais: os links duram dez minutos. Peça que outro seja enviado.',
    changed: 'O endereço da conta mudou depois que este link foi enviado. Use o link que foi para o novo endereço.',
    invalid: 'Este link não é válido. Talvez falte uma parte: copie o link inteiro ou peça que outro seja enviado.',
    sent: 'Se alguém tem este endereço e ainda não o confirmou, um novo link está a caminho. Veja seus e-mails.',
    address: 'Isto não é um endereço de e-mail.',
    slow: 'Foi cedo demais depois da última vez. Espere um pouco e tente de novo.',
    unsent: 'Não funcionou. Tente de novo daqui a pouco.',
    failed: 'Não funcionou. Tente de novo daqui a pouco.',
  },
};

/** States in which pressing the button may help, and those in which another mail may. */
const CONFIRMING: readonly State[] = ['asking', 'failed'];
const RESENDING: readonly State[] = ['expired', 'invalid', 'address', 'slow', 'unsent'];

/** What a token is made of; nothing else is written into the page. */
const TOKEN = /^[\w.-]{1,200}$/;

/** The language of ours that the browser prefers (`Accept-Language`). */
export const languageOf = (accepted: string | undefined): Language =>
  accepted?.trim().toLowerCase().startsWith('pt') === true ? 'pt-BR' : 'en';

/** The page in one of its states; its script moves it on from there. It works without the script too. */
export function verifyPage(language: Language, state: State, token = ''): string {
  const text = TEXTS[language];
  const shownFor = (states: readonly State[]): string =>
    `data-for="${states.join(' ')}"${states.includes(state) ? '' : ' hidden'}`;
  const messages = STATES.map((one) => `        <p ${shownFor([one])}>${text[one]}</p>`).join('\n');
  return `<!doctype html>
<html lang="${language}">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="color-scheme" content="light dark" />
    <meta name="robots" content="noindex" />
    <title>${text.title} · Tributary</title>
    <link rel="icon" href="live/icon.svg" type="image/svg+xml" />
    <link rel="stylesheet" href="verify/verify.css" />
    <script type="module" src="verify/verify.page.js"></script>
  </head>
  <body>
    <main data-state="${state}">
      <p class="brand">Tributary</p>
      <h1>${text.title}</h1>
      <div role="status">
${messages}
      </div>
      <form id="confirm" method="post" action="verify" ${shownFor(CONFIRMING)}>
        <input type="hidden" name="token" value="${TOKEN.test(token) ? token : ''}" />
        <button type="submit">${text.confirm}</button>
      </form>
      <form id="resend" method="post" action="verify" ${shownFor(RESENDING)}>
        <label for="email">${text.email}</label>
        <input id="email" name="email" type="email" autocomplete="email" required />
        <button type="submit">${text.resend}</button>
      </form>
    </main>
  </body>
</html>
`;
}
