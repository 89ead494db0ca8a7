import type { EngineUrls } from './api.mjs';
import type { ProcessIdentity } from './processes.mjs';

export interface InstanceState {
  readonly ports: Readonly<Record<string, number>>;
  readonly processes: Readonly<Record<string, ProcessIdentity>>;
}
export function readState(file: string): InstanceState;
export function writeState(file: string, state: InstanceState): void;
export function urlsOf(ports: Readonly<Record<string, number>>): EngineUrls;
export function writeEnv(file: string, urls: EngineUrls): void;
export function removeEnv(file: string): void;
export function readEnv(file: string): EngineUrls | undefined;
export function choosePorts(file: string, wanted: readonly string[]): Promise<Record<string, number>>;
export function occupied(ports: Readonly<Record<string, number>>): Promise<string[]>;
