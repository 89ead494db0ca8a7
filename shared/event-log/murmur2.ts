/** Kafka's murmur2, as the Java client and kafkajs compute it: the same key lies in the same partition on every engine. */
export function murmur2(key: string): number {
  const data = Buffer.from(key);
  const length = data.length;
  const whole = length & ~3;
  let hash = 0x9747b28c ^ length;
  for (let i = 0; i < whole; i += 4) {
    let k = Math.imul(data.readInt32LE(i), 0x5bd1e995);
    k = Math.imul(k ^ (k >>> 24), 0x5bd1e995);
    hash = Math.imul(hash, 0x5bd1e995) ^ k;
  }
  if (whole < length) {
    for (let i = length - 1; i >= whole; i--) hash ^= data.readUInt8(i) << (8 * (i - whole));
    hash = Math.imul(hash, 0x5bd1e995);
  }
  hash = Math.imul(hash ^ (hash >>> 13), 0x5bd1e995);
  return hash ^ (hash >>> 15);
}

/** The partition of a key: Kafka's `toPositive(murmur2(key)) % partitions`. */
export const partitionOf = (key: string, partitions: number): number => (murmur2(key) & 0x7fffffff) % partitions;
