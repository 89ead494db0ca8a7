/** Where the browser of the browser tests is. */
import { accessSync, constants } from 'node:fs';

const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];

/** Whether there is a program at that path. */
export const isProgram = (path) => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/** The path of a Chromium or Chrome, `CHROMIUM` before all others; undefined where there is none. */
export function findChromium(environment = process.env) {
  const { CHROMIUM: chosen = '' } = environment;
  if (chosen === '') return PLACES.find(isProgram);
  if (!isProgram(chosen)) throw new Error(`CHROMIUM is ${chosen}, which is no program that can be run.`);
  return chosen;
}
