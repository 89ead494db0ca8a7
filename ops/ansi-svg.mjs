/**
 * Makes a picture of what a program has written on a terminal: texts with colours become an SVG of fixed size, dark, without
 * scripts or fonts of its own. Every run of characters is set into its cells, so that columns stay columns in any font.
 */

/** Pixels. A cell is as wide as a character of common monospaced fonts of that size. */
const FONT = 14;
const CELL = 8.4;
const LINE = 20;
const MARGIN = 20;
const BAR = 36;

const FAMILIES = [
  ...['ui-monospace', 'SFMono-Regular', "'SF Mono'", 'Menlo', 'Consolas'],
  ...["'Cascadia Mono'", "'DejaVu Sans Mono'", "'Liberation Mono'", 'monospace'],
];

const INK = '#d6deeb';
const DIM = '#8b98a9';
const PAPER = '#0f1720';
const FRAME = '#2c3a4b';

/** By their numbers in `ESC [ n m`. On this paper each has a contrast of 4.5 and more. */
const COLOURS = {
  31: '#ff7b72',
  32: '#7ee787',
  33: '#e3b341',
  34: '#79c0ff',
  35: '#d2a8ff',
  36: '#56d4dd',
  37: '#f0f6fc',
  90: DIM,
  94: '#79c0ff',
};

const PLAIN = { fill: INK, bold: false, dim: false };

/** The style behind a code. @throws Error for one that the picture would not show */
function restyled(style, code) {
  if (code === 0) return PLAIN;
  if (code === 1) return { ...style, bold: true };
  if (code === 2) return { ...style, dim: true };
  if (code === 22) return { ...style, bold: false, dim: false };
  if (code === 39) return { ...style, fill: INK };
  const fill = COLOURS[code];
  if (fill === undefined) throw new Error(`The picture knows no style ${code}.`);
  return { ...style, fill };
}

const ESCAPE = '\u001b';

/** Runs of one style in a line, with the column each begins at. Blanks between words of two columns and more end a run. */
function runsOf(line, begun) {
  const runs = [];
  let style = begun;
  let column = 0;
  const pieces = line.split(ESCAPE);
  for (const [at, piece] of pieces.entries()) {
    let text = piece;
    if (at > 0) {
      const [sequence, codes] = /^\[([\d;]*)m/.exec(piece) ?? [];
      if (sequence === undefined)
        throw new Error(`The picture knows no sequence ${JSON.stringify(piece.slice(0, 8))}.`);
      for (const code of codes.split(';')) style = restyled(style, Number(code));
      text = piece.slice(sequence.length);
    }
    for (const [word] of text.matchAll(/ {2,}|(?:(?! {2}).)+/g)) {
      if (word.trim() !== '') runs.push({ text: word, column, style });
      column += word.length;
    }
  }
  return { runs, style };
}

const escaped = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
const rounded = (number) => Number(number.toFixed(2));

function runText({ text, column, style }, y) {
  const shown = text.trim();
  const x = rounded(MARGIN + (column + text.length - text.trimStart().length) * CELL);
  const fill = style.dim ? DIM : style.fill;
  const attributes = [
    `x="${x}" y="${y}" textLength="${rounded(shown.length * CELL)}" lengthAdjust="spacingAndGlyphs"`,
    ...(fill === INK ? [] : [`fill="${fill}"`]),
    ...(style.bold ? ['font-weight="700"'] : []),
  ];
  return `<text ${attributes.join(' ')}>${escaped(shown)}</text>`;
}

/**
 * The picture of an output, under a bar with what was typed. The same output gives the same picture.
 * @throws Error where the output moves the cursor, or has a style that is not known here
 */
export function ansiToSvg(output, { command, title, columns }) {
  const lines = output.replace(/\n+$/, '').split('\n');
  const width = rounded(2 * MARGIN + columns * CELL);
  const height = BAR + MARGIN + lines.length * LINE + MARGIN / 2;
  let style = PLAIN;
  const texts = lines.flatMap((line, at) => {
    const read = runsOf(line, style);
    style = read.style;
    return read.runs.map((run) => runText(run, BAR + MARGIN + at * LINE + FONT - 2));
  });
  const bar = runText({ text: `$ ${command}`, column: 0, style: { ...PLAIN, dim: true } }, BAR / 2 + 5);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<rect x="0.5" y="0.5" width="${rounded(width - 1)}" height="${height - 1}" rx="10" fill="${PAPER}" stroke="${FRAME}"/>`,
    `<path d="M1 ${BAR}.5H${rounded(width - 1)}" stroke="${FRAME}"/>`,
    `<g font-family="${escaped(FAMILIES.join(', '))}" font-size="${FONT}" fill="${INK}" style="white-space:pre">`,
    bar,
    ...texts,
    '</g>',
    '</svg>',
    '',
  ].join('\n');
}
