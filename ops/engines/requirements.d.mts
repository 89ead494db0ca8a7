export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly root: boolean;
  readonly apt: boolean;
  docker(): boolean;
}
export function missingPrograms(needed: readonly string[], path?: string): string[];
export function packagesOf(programs: readonly string[]): string[];
export function obstacles(machine: Machine, missing: readonly string[]): string[];
