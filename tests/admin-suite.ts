import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { buildApp, portSettings, startProcess, type AppProcess, type PortSettings } from './process.js';
import { until } from './until.js';

const PASSWORD = 'correct horse battery';
const LOGIN = 'mutation ($input: LoginInput!) { login(input: $input) { accessToken user { id role } } }';

interface LoggedIn {
  readonly data?: { readonly login: { readonly accessToken: string; readonly user: { readonly role: string } } } | null;
  readonly errors?: readonly { readonly extensions: { readonly code: string } }[];
}

/** `tributary admin create` beside a system that runs, and what becomes of demo passwords. */
export function adminSuite(engines: Readonly<Record<string, string>>, dispose: () => Promise<void>): void {
  const app = buildApp();
  let ports: PortSettings;
  let system: AppProcess;

  const start = (settings: Readonly<Record<string, string>>): AppProcess =>
    startProcess(process.execPath, [app.main], {
      ...engines,
      ...ports,
      LOG_LEVEL: 'warn',
      IDENTITY_SECRET: 'the same secret for every life of it',
      ...settings,
    });

  beforeAll(async () => {
    ports = await portSettings();
    // The first life is a demo, with its data.
    system = start({ AUTH_MODE: 'demo' });
    await system.ready;
  }, 120_000);

  afterAll(async () => {
    // In good order: consumer groups are deleted once they are left.
    await system.end('SIGTERM');
    app.remove();
    await dispose();
  }, 30_000);

  async function create(args: readonly string[], password: string) {
    const command = startProcess(process.execPath, [app.main, 'admin', 'create', '--name', 'Root', ...args], engines, {
      input: true,
    });
    command.child.stdin?.end(`${password}\n`);
    const { code } = await command.exit;
    return { code, output: command.output().trim() };
  }

  const post = async <T>(query: string, variables: object, token?: string): Promise<T> => {
    const response = await fetch(`http://127.0.0.1:${ports.GATEWAY_PORT}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) },
      body: JSON.stringify({ query, variables }),
    });
    return (await response.json()) as T;
  };
  const login = (email: string, password: string) => post<LoggedIn>(LOGIN, { input: { email, password } });
  const codeOf = async (email: string, password: string) => (await login(email, password)).errors?.[0]?.extensions.code;
  const roleOf = async (email: string, password: string) => (await login(email, password)).data?.login.user.role;
  const me = async (token?: string) => {
    type Me = { data: { me: { name: string } | null } };
    return (await post<Me>('{ me { name } }', {}, token)).data.me?.name;
  };

  test('in demo mode the documented passwords are good, and whoever has no token is the demo administrator', async () => {
    expect(await roleOf('admin@tributary.example', 'demo-admin')).toBe('ADMIN');
    const { data } = await login('joao.silva@tributary.example', 'demo-joao');
    expect(data?.login.user.role).toBe('USER');
    expect(await me(data?.login.accessToken)).toBe('João Silva');
    expect(await me()).toBe('Demo Administrator');
    type Refused = { errors: { extensions: { code: string } }[] };
    const { errors } = await post<Refused>('{ me { name } }', {}, 'nonsense');
    expect(errors[0]?.extensions.code).toBe('UNAUTHENTICATED');
  }, 60_000);

  test('in required mode they are not, nobody is taken for anybody, and old tokens go on', async () => {
    const token = (await login('joao.silva@tributary.example', 'demo-joao')).data?.login.accessToken;
    await system.end('SIGTERM');
    system = start({ AUTH_MODE: 'required' });
    await system.ready;
    await until(() => system.output().includes('AUTH_MODE=required: whoever has no token is anonymous'));
    expect(await codeOf('admin@tributary.example', 'demo-admin')).toBe('UNAUTHENTICATED');
    expect(await codeOf('joao.silva@tributary.example', 'demo-joao')).toBe('UNAUTHENTICATED');
    expect(await me()).toBeUndefined();
    expect(await me(token)).toBe('João Silva');
  }, 120_000);

  test('an administrator is made beside it, once, and is there at once', async () => {
    const email = ['--email', 'root@tributary.example'];
    expect(await create(email, 'short')).toEqual({ code: 2, output: 'A password has at least 8 characters.' });
    expect(await create(email, '')).toMatchObject({
      code: 2,
      output: expect.stringContaining('There is no password') as unknown,
    });
    expect(await create(email, PASSWORD)).toEqual({ code: 0, output: 'root@tributary.example is an administrator.' });
    expect(await roleOf('root@tributary.example', PASSWORD)).toBe('ADMIN');
    expect(await create(email, PASSWORD)).toEqual({
      code: 0,
      output: 'root@tributary.example is an administrator with this password already.',
    });
    // Views have heard of it by the event that the running system has published.
    const { data } = await login('root@tributary.example', PASSWORD);
    const USERS = '{ users(filter: { search: "root" }) { totalCount } }';
    type Users = { data: { users: { totalCount: number } } | null };
    await until(async () => (await post<Users>(USERS, {}, data?.login.accessToken)).data?.users.totalCount === 1);
  }, 120_000);

  test('somebody who is there is changed only if that is said', async () => {
    const email = ['--email', 'maria.oliveira@tributary.example'];
    const refused = await create(email, PASSWORD);
    expect(refused).toMatchObject({ code: 2, output: expect.stringContaining('nothing was changed') as unknown });
    expect(await codeOf('maria.oliveira@tributary.example', PASSWORD)).toBe('UNAUTHENTICATED');
    expect(await create([...email, '--yes'], PASSWORD)).toEqual({
      code: 0,
      output: 'maria.oliveira@tributary.example is an administrator, with this password.',
    });
    expect(await roleOf('maria.oliveira@tributary.example', PASSWORD)).toBe('ADMIN');
  }, 120_000);
}
