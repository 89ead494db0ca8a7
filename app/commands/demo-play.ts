import { DemoClient, GraphError, type Call, type DemoTarget, type Pushes } from './demo-client.js';
import { cleanUp, type CleanedUp } from './demo-clean-up.js';
import { Witness, type Fact } from './demo-facts.js';
import type { DemoOutcome, Screen } from './demo-screen.js';
import { serviceRows } from './demo-services.js';
import { nothingBegun, StoryFailed, tellStory, type Step } from './demo-story.js';
import { UserError } from '../toolbox.js';

export interface DemoOptions {
  readonly target: DemoTarget;
  /** An administrator; whoever has no token counts when absent, in demo mode the demo administrator. */
  readonly login?: { readonly email: string; readonly password: string } | undefined;
  readonly locale: 'EN' | 'PT';
  /** How long a reminder is waited for. */
  readonly reminderWaitMs: number;
  /** How long anything else is waited for. */
  readonly patienceMs: number;
  /** Ends the story, not the clean-up. */
  readonly interrupt: AbortSignal;
  /** Ends the clean-up too. */
  readonly abandon: AbortSignal;
  readonly screen: Screen;
}

/**
 * Plays the story against a running system and cleans up behind it, however it ended.
 * @throws UserError where nothing was begun: the system is not there, or does not take us for an administrator
 */
export async function playDemo(options: DemoOptions): Promise<DemoOutcome> {
  const { target, screen, locale, reminderWaitMs, patienceMs, interrupt, abandon } = options;
  const since = performance.now();
  const calls: Call[] = [];
  const { admin, name } = await enter(new DemoClient(target, calls), options);
  screen.opening(target.gateway, name);

  const begun = nothingBegun();
  const witness = new Witness(admin, calls);
  const steps = new Steps(screen);
  const opened: Pushes[] = [];
  const failure = await failureOf(() =>
    tellStory({
      ...{ admin, begun, locale, reminderWaitMs, witness },
      waiting: { patienceMs, signal: interrupt },
      step: async (...one) => {
        interrupt.throwIfAborted();
        await steps.run(...one);
      },
      opened: (pushes) => opened.push(pushes),
    }),
  );

  let cleanedUp: CleanedUp = { done: [], left: [], sums: null };
  await failureOf(() =>
    steps.run('clean-up', 'Nothing stays behind', async (say) => {
      cleanedUp = await cleanUp({ admin, begun, witness, say, waiting: { patienceMs, signal: abandon } });
      if (cleanedUp.left.length > 0) throw new StoryFailed('not everything could be cleaned up');
      return cleanedUp.done.join(', ') || 'nothing was made yet';
    }),
  );
  await Promise.all(opened.map((pushes) => pushes.close()));

  const { left, sums } = cleanedUp;
  const right = failure === undefined && left.length === 0 && sums?.ok === true;
  const outcome = interrupt.aborted ? 'interrupted' : right ? 'right' : 'failed';
  const services = serviceRows(steps.facts, calls);
  screen.closing({ outcome, ms: Math.round(performance.now() - since), services, cleanedUp });
  return outcome;
}

async function failureOf(work: () => Promise<void>): Promise<unknown> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Who we are to the system. @throws UserError */
async function enter(
  stranger: DemoClient,
  { login, target }: DemoOptions,
): Promise<{ admin: DemoClient; name: string }> {
  try {
    const admin =
      login === undefined
        ? stranger
        : stranger.as((await stranger.mutate<{ accessToken: string }>('login', 'accessToken', login)).accessToken);
    // In demo mode strangers are administrators, whether or not there is such a user.
    const { me } = await admin.query<{ me: { name: string } | null }>(
      'query Demo { me { name } users(first: 1) { totalCount } }',
    );
    return { admin, name: me?.name ?? 'the demo administrator' };
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    if (error.code === 'FORBIDDEN' || (error.code === 'UNAUTHENTICATED' && login === undefined)) {
      throw new UserError(`${target.gateway} wants an administrator: say --email and --password of one.`);
    }
    if (error.code !== 'OFFLINE') throw new UserError(`${target.gateway} does not let us in: ${error.message}`);
    throw new UserError(`${error.message}. Start Tributary with npm start, or say where it is with --url.`);
  }
}

/** Runs steps one after the other, and shows them. */
class Steps {
  readonly facts: Fact[] = [];
  private number = 0;

  constructor(private readonly screen: Screen) {}

  run: Step = async (key, title, work) => {
    const { screen } = this;
    const number = (this.number += 1);
    screen.begin(number, title);
    const since = performance.now();
    const facts: Fact[] = [];
    const end = (outcome: 'done' | 'skipped' | 'failed', result: string): void => {
      this.facts.push(...facts);
      screen.end({ key, number, title, outcome, result, ms: Math.round(performance.now() - since), facts });
    };
    try {
      const result = await work((...told) => {
        facts.push(...told);
        told.forEach((fact) => screen.fact(fact));
      });
      if (typeof result === 'string') end('done', result);
      else end('skipped', result.skipped);
    } catch (error) {
      end('failed', reasonOf(error));
      throw error;
    }
  };
}

function reasonOf(error: unknown): string {
  if (error instanceof GraphError) return `${error.at} was refused: ${error.message} (${error.code})`;
  if (!(error instanceof Error)) return String(error);
  return error.name === 'AbortError' ? 'interrupted' : error.message;
}
