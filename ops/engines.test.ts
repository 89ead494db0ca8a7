/** What `npm run engines` remembers and refuses; no server is started here. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { until } from '../tests/until.js';
import { engine, startEngines, stopEngines, wipeEngines } from './engines/api.mjs';
import { cacheFolder, instanceFolders } from './engines/folders.mjs';
import { withLock } from './engines/lock.mjs';
import { end, identify, isAlive, isPaused, kill, launch, parseStat, signal, usersOf } from './engines/processes.mjs';
import { mountsUnder, removeFolder } from './engines/removal.mjs';
import { missingPrograms, obstacles, packagesOf } from './engines/requirements.mjs';
import {
  choosePorts,
  occupied,
  readEnv,
  readState,
  removeEnv,
  urlsOf,
  writeEnv,
  writeState,
} from './engines/state.mjs';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-engines-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('folders', () => {
  test('the cache is outside the repository, and ENGINES_DIR moves it', () => {
    expect(cacheFolder({ XDG_CACHE_HOME: '/cache' })).toBe('/cache/tributary/engines');
    expect(cacheFolder({ XDG_CACHE_HOME: '/cache', ENGINES_DIR: '/elsewhere' })).toBe('/elsewhere');
  });

  test('the default instance tells its addresses where npm start looks for them, others beside their data', () => {
    const env = { ENGINES_DIR: '/e' };
    expect(instanceFolders('default', env).env).toBe('/e/engines.env');
    expect(instanceFolders('faults', env).env).toBe('/e/data/faults/engines.env');
  });

  test.each(['', '..', 'a/b', 'A', '-a', 'a'.repeat(33)])('"%s" is no name for an instance', (name) => {
    expect(() => instanceFolders(name)).toThrow('is no name for an instance');
  });
});

describe('state', () => {
  const own = identify(process.pid)!;

  test('what was written is read, and an instance that never ran has nothing', () => {
    const file = join(folder, 'a', 'state.json');
    expect(readState(file)).toEqual({ ports: {}, processes: {} });
    const state = { ports: { kafka: 20_001 }, processes: { kafka: own } };
    writeState(file, state);
    expect(readState(file)).toEqual(state);
  });

  test('a damaged file is told and not taken for "nothing runs"', () => {
    const file = join(folder, 'state.json');
    writeFileSync(file, '{"ports":');
    expect(() => readState(file)).toThrow(`${file} is damaged`);
  });

  test('chosen ports are free, differ, and are kept from other instances', async () => {
    const file = join(folder, 'mine', 'state.json');
    const names = ['kafka', 'controller', 'mysql', 'postgres', 'mongo'];
    writeState(join(folder, 'other', 'state.json'), { ports: { kafka: 20_000 }, processes: {} });
    const chosen = Object.values(await choosePorts(file, names));
    expect(new Set(chosen).size).toBe(names.length);
    expect(chosen).not.toContain(20_000);
    // Above are the ports of outgoing connections, where a client can end up connected to itself.
    for (const port of chosen) expect(port).toBeLessThan(32_768);
  });

  test('a port that something else has taken is noticed', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    expect(await occupied({ kafka: port })).toEqual(['kafka']);
    await new Promise((resolve) => server.close(resolve));
    expect(await occupied({ kafka: port })).toEqual([]);
  });

  test('the env file gives back the addresses that were written, a line each', () => {
    const file = join(folder, 'engines.env');
    expect(readEnv(file)).toBeUndefined();
    const urls = urlsOf({ kafka: 1, mysql: 2, mongo: 3 });
    writeEnv(file, urls);
    expect(readFileSync(file, 'utf8').split('\n')).toEqual([
      'KAFKA_BROKERS=127.0.0.1:1',
      'MYSQL_URL=mysql://root@127.0.0.1:2',
      'MONGO_URL=mongodb://127.0.0.1:3/tributary?retryWrites=false',
      '',
    ]);
    expect(readEnv(file)).toEqual(urls);
    removeEnv(file);
    expect(readEnv(file)).toBeUndefined();
  });
});

describe('processes', () => {
  test('a process is told from another one that got its number', () => {
    const own = identify(process.pid)!;
    expect(isAlive(own)).toBe(true);
    expect(isAlive({ ...own, started: '1' })).toBe(false);
    expect(isAlive({ ...own, boot: 'another' })).toBe(false);
    expect(isAlive(undefined)).toBe(false);
  });

  test('a name with spaces and parentheses does not shift what is read of a process', () => {
    const numbers = Array.from({ length: 48 }, (_, index) => index + 4);
    expect(parseStat(`12 (a) (b c) S ${numbers.join(' ')}`)).toEqual({ state: 'S', parent: 4, started: '22' });
  });

  test('whoever has the number of a process that is gone is not signalled', async () => {
    const child = spawn('sleep', ['60']);
    const identity = identify(child.pid!)!;
    const impostor = { ...identity, started: '1' };
    signal(impostor, 'SIGKILL');
    await end(impostor);
    await kill(impostor);
    expect(isAlive(identity)).toBe(true);
    await end(identity);
    expect(isAlive(identity)).toBe(false);
  });

  test('killing takes the descendants along, paused ones too', async () => {
    const log = join(folder, 'log');
    const parent = launch(['sh', '-c', 'sleep 60 & echo $!; wait'], log, folder);
    const child = await until(() => identify(Number(readFileSync(log, 'utf8').trim() || 'none')));
    signal(parent, 'SIGSTOP');
    await until(() => isPaused(parent));
    await kill(parent);
    expect([parent, child].filter(isAlive)).toEqual([]);
  });

  test('a program that does not exist is an error, not a server', () => {
    expect(() => launch(['/nowhere/kafka'], join(folder, 'log'), folder)).toThrow('/nowhere/kafka could not be run');
  });
});

describe('deletion', () => {
  test('a folder in which a process works stays', async () => {
    const used = join(folder, 'used');
    mkdirSync(used);
    const server = launch(['sleep', '60'], join(folder, 'log'), used);
    await until(() => usersOf(used).length > 0);
    expect(() => removeFolder(used)).toThrow(`in use and stays: sleep (${server.pid})`);
    await kill(server);
    removeFolder(used);
    expect(existsSync(used)).toBe(false);
  });

  test('mounts in a folder are found, the deepest first, and those of its neighbours are not', () => {
    const line = (path: string) => `36 35 98:0 / ${path} rw,noatime shared:1 - ext4 /dev/root rw`;
    const mounts = ['/', '/c/root', '/c/root/dev', '/c/root/dev/pts', '/c/root2/dev', '/c/root/a\\040b'].map(line);
    expect(mountsUnder('/c/root', `${mounts.join('\n')}\n`)).toEqual([
      '/c/root/dev/pts',
      '/c/root/dev',
      '/c/root/a b',
      '/c/root',
    ]);
  });
});

describe('one at a time', () => {
  test('the second waits for the first, is told so once, and goes on when it is done', async () => {
    const order: string[] = [];
    let finish = (): void => undefined;
    const first = withLock(folder, {}, async () => {
      await new Promise<void>((resolve) => (finish = resolve));
      order.push('first');
    });
    const second = withLock(folder, { busy: () => order.push('waits') }, () => order.push('second'));
    await until(() => order.includes('waits'));
    finish();
    await Promise.all([first, second]);
    expect(order).toEqual(['waits', 'first', 'second']);
  });

  test('work that fails gives the lock back', async () => {
    await expect(withLock(folder, {}, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    await expect(withLock(folder, {}, () => 'mine')).resolves.toBe('mine');
  });

  test('waiting can be given up', async () => {
    const interrupted = new AbortController();
    await withLock(folder, {}, async () => {
      const waiting = withLock(folder, { signal: interrupted.signal, busy: () => interrupted.abort() }, () => 'never');
      await expect(waiting).rejects.toThrow('aborted');
    });
  });
});

describe('refusals', () => {
  const debian = { platform: 'linux', root: true, apt: true, docker: () => false } as const;

  test('a Debian machine and root are enough: what is missing is installed', () => {
    expect(obstacles(debian, ['mvn', 'debootstrap'])).toEqual([]);
    expect(packagesOf(['mvn', 'debootstrap', 'unshare', 'setpriv'])).toEqual(['maven', 'debootstrap', 'util-linux']);
  });

  test('each thing that is missing has a line, and Docker is named as the other way', () => {
    expect(obstacles({ ...debian, platform: 'darwin', docker: () => true }, ['mvn'])).toEqual([
      'Linux is needed: this is darwin.',
      'Docker answers on this machine: `docker compose up` runs Tributary on the same engines.',
    ]);
    expect(obstacles({ ...debian, root: false }, [])[0]).toContain('sudo npm run engines');
    const [maven, java, docker, ...others] = obstacles({ ...debian, apt: false }, ['mvn', 'java']);
    expect(maven).toMatch(/^mvn is missing.*maven/);
    expect(java).toMatch(/^java is missing.*default-jre/);
    expect(docker).toContain('does not answer here');
    expect(others).toEqual([]);
  });

  test('programs are looked for where the shell looks', () => {
    writeFileSync(join(folder, 'mvn'), '');
    expect(missingPrograms(['mvn', 'java'], `/nowhere::${folder}`)).toEqual(['java']);
  });
});

describe('an instance that was never started', () => {
  let before: string | undefined;
  beforeEach(() => {
    before = process.env['ENGINES_DIR'];
    process.env['ENGINES_DIR'] = folder;
  });
  afterEach(() => {
    if (before === undefined) delete process.env['ENGINES_DIR'];
    else process.env['ENGINES_DIR'] = before;
  });

  test('stopping and wiping it do nothing', async () => {
    expect(await stopEngines({ instance: 'none' })).toBe(false);
    await wipeEngines({ instance: 'none' });
  });

  test('stopping ends no process whose number a server had once', async () => {
    const { state } = instanceFolders('none');
    writeState(state, { ports: {}, processes: { kafka: { ...identify(process.pid)!, started: '1' } } });
    expect(await stopEngines({ instance: 'none' })).toBe(false);
    expect(readState(state).processes).toEqual({});
  });

  test('breaking it is refused', async () => {
    const kafka = engine('kafka', { instance: 'none' });
    await expect(kafka.kill()).rejects.toThrow('have not been started');
    expect(() => kafka.pause()).toThrow('kafka does not run');
  });

  test('a start that was given up leaves nothing behind', async () => {
    const gone = AbortSignal.abort(new Error('given up'));
    await expect(startEngines({ instance: 'none', signal: gone })).rejects.toThrow('given up');
    expect(existsSync(instanceFolders('none').data)).toBe(false);
  });
});
