import { afterAll, expect, test } from '@jest/globals';
import { PROCESS_NAMES, PROCESSES, type ProcessName } from '../app/processes.js';
import { readConfig, SETTINGS } from '../shared/config/config.js';
import { newId } from '../shared/ids/ids.js';
import { readComposeFile, type ComposeService } from './compose-file.js';
import { playMainFlow } from './main-flow.js';
import { freePorts } from './ports.js';
import { buildApp, startProcess, type AppProcess } from './process.js';
import { until } from './until.js';

const services = readComposeFile();
const ours = Object.entries(services).filter(([, { image }]) => image === services['tributary']?.image);
const app = buildApp();
const running = new Map<string, AppProcess>();

afterAll(async () => {
  for (const process of running.values()) await process.end('SIGKILL');
  app.remove();
});

const processOf = ({ command }: ComposeService): ProcessName | undefined =>
  PROCESS_NAMES.find((name) => command?.[0] === 'run' && command[1] === name);

test('every process runs in a service of its own, and every worker in a second one when scaled', () => {
  const counted = (scaled: boolean) =>
    ours
      .filter(([, { profiles }]) => scaled || profiles === undefined)
      .flatMap(([, service]) => processOf(service) ?? [])
      .sort();
  const workers = PROCESS_NAMES.filter((name) => PROCESSES[name].half === 'worker');
  expect(counted(false)).toEqual([...PROCESS_NAMES].sort());
  expect(counted(true)).toEqual([...PROCESS_NAMES, ...workers].sort());
});

test('every setting in it exists, every health check asks the port that the process listens on', () => {
  const { ports, workerPorts } = readConfig({});
  for (const [name, service] of ours) {
    expect(Object.keys(service.environment ?? {}).filter((setting) => !SETTINGS.includes(setting))).toEqual([]);
    const process = processOf(service);
    if (process === undefined) continue;
    const port = PROCESSES[process].port({ ports, workerPorts });
    expect({ name, test: service.healthcheck?.test }).toEqual({
      name,
      test: ['CMD', 'node', 'ready.mjs', String(port)],
    });
  }
});

test('everything has a memory limit, everything that stays has a health check, nothing is published beyond this machine', () => {
  for (const [name, { mem_limit, ports = [], healthcheck, command, profiles = [] }] of Object.entries(services)) {
    expect({ name, limited: Number(mem_limit) > 0 }).toEqual({ name, limited: true });
    expect(ports.filter(({ host_ip }) => host_ip !== '127.0.0.1')).toEqual([]);
    const oneShot = ['setup', 'demo-data'].includes(command?.[0] ?? '');
    if (!oneShot && !profiles.includes('tools'))
      expect({ name, test: healthcheck?.test }).toEqual({ name, test: expect.any(Array) });
  }
});

test('its very commands, run natively in the order of depends_on, serve the main flow', async () => {
  const ports = (await freePorts(ours.length * 2)).map(String);
  const portOf = new Map(ours.map(([name], index) => [name, ports[index] ?? '']));
  const namespace = `compose-${newId().slice(-12)}`;
  const servers = Object.fromEntries(
    ['KAFKA_BROKERS', 'MYSQL_URL', 'MONGO_URL'].map((name) => [name, process.env[name] ?? '']),
  );
  const address = (service: string): string => `http://127.0.0.1:${portOf.get(service)}`;

  const settingsOf = (name: string, service: ComposeService, index: number): Record<string, string> => {
    const inside = Object.entries(service.environment ?? {}).map(([key, value]): [string, string] => {
      const [, host] = /^http:\/\/([\w-]+):\d+$/.exec(value) ?? [];
      return [key, host === undefined ? value : address(host)];
    });
    const what = processOf(service);
    const own = what === undefined ? {} : { [PROCESSES[what].variable]: portOf.get(name) ?? '' };
    return {
      ...Object.fromEntries(inside),
      ...servers,
      ...own,
      NAMESPACE: namespace,
      HOST: '127.0.0.1',
      REST_PORT: ports[ours.length + index] ?? '',
    };
  };
  const isReady = async (name: string, { healthcheck, command }: ComposeService): Promise<boolean> => {
    const process = running.get(name);
    if (healthcheck === undefined) {
      const exit = await process?.exit;
      if (exit?.code !== 0) throw new Error(`${command?.join(' ')} ended with ${exit?.code}: ${process?.output()}`);
      return true;
    }
    if (!(await fetch(`${address(name)}/readyz`)).ok) return false;
    const check = startProcess(globalThis.process.execPath, ['ops/containers/ready.mjs', portOf.get(name) ?? ''], {});
    return (await check.exit).code === 0;
  };

  const waiting = new Map(ours.map(([name, service], index) => [name, { service, index }]));
  const ready = new Set(Object.keys(services).filter((name) => !waiting.has(name)));
  while (waiting.size > 0) {
    const next = [...waiting].filter(([, { service }]) =>
      Object.keys(service.depends_on ?? {}).every((on) => ready.has(on)),
    );
    expect(next.length).toBeGreaterThan(0);
    await Promise.all(
      next.map(async ([name, { service, index }]) => {
        waiting.delete(name);
        const args = [app.main, ...(service.command ?? [])];
        running.set(name, startProcess(process.execPath, args, settingsOf(name, service, index)));
        await until(() => isReady(name, service), {
          timeoutMs: 60_000,
          message: () => `${name} to be ready:\n${running.get(name)?.output()}`,
        });
        ready.add(name);
      }),
    );
  }

  const queryIndex = ours.findIndex(([name]) => name === 'query-api');
  await playMainFlow({ gateway: address('gateway'), rest: `http://127.0.0.1:${ports[ours.length + queryIndex]}` });
  const exits = await Promise.all([...running].map(async ([name, one]) => ({ name, ...(await one.end('SIGTERM')) })));
  expect(exits.filter(({ code }) => code !== 0)).toEqual([]);
}, 240_000);
