export const DEFAULT_INSTANCE: string;
export function cacheFolder(env?: NodeJS.ProcessEnv): string;
export interface InstanceFolders {
  readonly cache: string;
  readonly data: string;
  readonly state: string;
  readonly env: string;
  log(server: string): string;
}
export function instanceFolders(instance: string, env?: NodeJS.ProcessEnv): InstanceFolders;
