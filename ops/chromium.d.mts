/** The path of a Chromium or Chrome, `CHROMIUM` before all others; undefined where there is none. */
export function findChromium(environment?: NodeJS.ProcessEnv): string | undefined;

/** Whether there is a program at that path. */
export function isProgram(path: string): boolean;
