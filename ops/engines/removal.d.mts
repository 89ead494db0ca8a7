export function mountsUnder(folder: string, mountinfo: string): string[];
/** @throws Error when a process works in it, or something mounted there cannot be unmounted; then nothing is deleted */
export function removeFolder(folder: string): void;
