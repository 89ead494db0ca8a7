import { AssignerProtocol } from 'kafkajs';
import type { PartitionId } from './kafka-client.js';

/** Members of one group have to agree on how they share: permanent. */
export const PROTOCOL = 'tributary';

const NOTHING = Buffer.alloc(0);

interface Wishing {
  readonly memberId: string;
  readonly memberMetadata: Buffer;
}

/** What a member tells its leader: the topics it wants, by their names on the brokers. */
export const wishFor = (topics: Iterable<string>): Buffer =>
  AssignerProtocol.MemberMetadata.encode({ version: 0, topics: [...topics], userData: NOTHING });

const wishOf = ({ memberMetadata }: Wishing): readonly string[] =>
  AssignerProtocol.MemberMetadata.decode(memberMetadata)?.topics ?? [];

/** The topics that anybody wants. */
export const wishesOf = (members: readonly Wishing[]): string[] => [...new Set(members.flatMap(wishOf))].sort();

/** Partitions go round among the members that want their topic. */
export function shareOut(
  members: readonly Wishing[],
  partitions: readonly PartitionId[],
): { memberId: string; memberAssignment: Buffer }[] {
  const shares = members
    .map((member) => ({
      memberId: member.memberId,
      topics: new Set(wishOf(member)),
      assignment: new Map<string, number[]>(),
    }))
    .sort((a, b) => (a.memberId < b.memberId ? -1 : 1));
  let turn = 0;
  for (const { topic, partition } of partitions) {
    const takers = shares.filter((share) => share.topics.has(topic));
    const taker = takers[turn++ % takers.length];
    taker?.assignment.set(topic, [...(taker.assignment.get(topic) ?? []), partition]);
  }
  return shares.map(({ memberId, assignment }) => ({
    memberId,
    memberAssignment: AssignerProtocol.MemberAssignment.encode({
      version: 0,
      assignment: Object.fromEntries(assignment),
      userData: NOTHING,
    }),
  }));
}

/** The partitions of a member's share. */
export const shareOf = (memberAssignment: Buffer): PartitionId[] =>
  Object.entries(AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment ?? {}).flatMap(
    ([topic, partitions]) => partitions.map((partition) => ({ topic, partition })),
  );
