/** A mail as HTML and as plain text, both of the same parts. Nothing in it is fetched from anywhere. */

export interface Parts {
  /** `pt-BR`. */
  readonly language: string;
  /** Who writes. */
  readonly shop: string;
  readonly subject: string;
  readonly greeting: string;
  readonly paragraphs: readonly string[];
  /** What was ordered, with the sum below it. */
  readonly lines: readonly { readonly what: string; readonly amount: string }[];
  readonly total: { readonly what: string; readonly amount: string } | null;
  readonly action: { readonly label: string; readonly url: string; readonly orOpen: string } | null;
  readonly notes: readonly string[];
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Markup that is finished. */
class Markup {
  constructor(readonly text: string) {}
}

/** Every text that is put in is escaped; what is markup already goes in as it is. */
function markup(parts: TemplateStringsArray, ...values: readonly (string | Markup | readonly Markup[])[]): Markup {
  const spell = (value: string | Markup | readonly Markup[] | undefined): string => {
    if (value === undefined) return '';
    if (typeof value === 'string') return value.replace(/[&<>"']/g, (character) => ESCAPES[character] ?? '');
    return value instanceof Markup ? value.text : value.map(({ text }) => text).join('');
  };
  return new Markup(parts.map((part, index) => part + spell(values[index])).join(''));
}

const NOTHING = new Markup('');

/** Inline for those who drop the style element, classes for those who can tell dark from light. */
const FONT = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',Arial,sans-serif";
const STYLE = `
  :root { color-scheme: light dark; supported-color-schemes: light dark; }
  @media (prefers-color-scheme: dark) {
    .page { background: #0f1514 !important; }
    .card { background: #171f1d !important; border-color: #29342f !important; }
    .ink { color: #e7eeec !important; }
    .soft, .soft a { color: #a0b0ab !important; }
    .line { border-color: #29342f !important; }
    .brand { color: #62cfc3 !important; }
    .button { background: #62cfc3 !important; color: #06201d !important; }
  }`;

export function toHtml(parts: Parts): string {
  const { language, shop, subject, greeting, paragraphs, lines, total, action, notes } = parts;
  const paragraph = (text: string): Markup => markup`<p class="ink" style="margin:0 0 16px;color:#17211f">${text}</p>`;
  const row = ({ what, amount }: { readonly what: string; readonly amount: string }, weight: string): Markup => markup`
            <tr>
              <td class="ink line" style="padding:10px 16px 10px 0;border-top:1px solid #dfe6e3;color:#17211f;font-weight:${weight}">${what}</td>
              <td class="ink line" align="right" style="padding:10px 0;border-top:1px solid #dfe6e3;color:#17211f;font-weight:${weight};white-space:nowrap">${amount}</td>
            </tr>`;
  const table =
    lines.length === 0
      ? NOTHING
      : markup`
          <table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="margin:8px 0 24px;border-collapse:collapse;font-size:15px">${lines.map((line) => row(line, '400'))}${total === null ? NOTHING : row(total, '650')}
          </table>`;
  const link = (url: string, text: string, style: string, name: string): Markup =>
    markup`<a class="${name}" href="${url}" target="_blank" rel="noopener noreferrer" style="${style}">${text}</a>`;
  const button =
    action === null
      ? NOTHING
      : markup`
          <p style="margin:8px 0 24px">${link(action.url, action.label, 'display:inline-block;padding:12px 24px;border-radius:10px;background:#0f6b66;color:#ffffff;font-weight:600;text-decoration:none', 'button')}</p>
          <p class="soft" style="margin:0 0 16px;color:#56645f;font-size:13px">${action.orOpen}<br>${link(action.url, action.url, 'color:#56645f;word-break:break-all', 'soft')}</p>`;
  const note = (text: string): Markup =>
    markup`
          <p class="soft" style="margin:0 0 8px;color:#56645f;font-size:13px">${text}</p>`;
  return markup`<!doctype html>
<html lang="${language}">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <meta name="supported-color-schemes" content="light dark">
    <title>${subject}</title>
    <style>${new Markup(STYLE)}
    </style>
  </head>
  <body class="page" style="margin:0;padding:0;background:#f4f6f5">
    <table class="page" role="presentation" width="100%" cellpadding="0" cellspacing="0" style="background:#f4f6f5">
      <tr><td align="center" style="padding:32px 16px">
        <table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="max-width:560px">
          <tr><td class="brand" style="padding:0 4px 16px;${FONT};font-size:17px;font-weight:650;color:#0f6b66">${shop}</td></tr>
          <tr><td class="card" style="padding:32px;border:1px solid #dfe6e3;border-radius:16px;background:#ffffff;${FONT};font-size:16px;line-height:1.5">
          <h1 class="ink" style="margin:0 0 20px;font-size:22px;line-height:1.3;font-weight:650;color:#17211f">${subject}</h1>
          ${[greeting, ...paragraphs].map(paragraph)}${table}${button}${notes.map(note)}
          </td></tr>
        </table>
      </td></tr>
    </table>
  </body>
</html>
`.text;
}

export function toText(parts: Parts): string {
  const { shop, subject, greeting, paragraphs, lines, total, action, notes } = parts;
  const sums = total === null ? lines : [...lines, total];
  const table = sums.map(({ what, amount }) => `${what}: ${amount}`).join('\n');
  const blocks = [
    subject,
    greeting,
    ...paragraphs,
    table,
    ...(action === null ? [] : [`${action.label}:\n${action.url}`]),
    `--\n${[shop, ...notes].join('\n')}`,
  ];
  return `${blocks.filter((block) => block !== '').join('\n\n')}\n`;
}
