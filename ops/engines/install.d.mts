/** Where Kafka is installed, in a cache folder. */
export function kafkaFolder(cache: string): string;
