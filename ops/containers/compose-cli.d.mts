/** The command that is Docker Compose here, as its first words. @throws Error when it is not there and cannot be built */
export function composeCommand(): string[];
