/** The picture of an output, under a bar with what was typed. */
export function ansiToSvg(
  output: string,
  options: { readonly command: string; readonly title: string; readonly columns: number },
): string;
