import { Delivery } from './delivery.js';
import type { LogFile, Partition } from './log-file.js';
import type { SubscribeOptions } from './port.js';
import { Reader } from './reader.js';

const DEFAULT_MAX_BATCH = 100;

/** One subscription. */
export class Member {
  /** Readers that may still have a batch in hand, fenced ones too. */
  readonly readers = new Set<Reader>();
  readonly delivery: Delivery;

  constructor(readonly options: SubscribeOptions) {
    const { maxBatch = DEFAULT_MAX_BATCH, onError, beforeCommit } = options;
    const onBatches: SubscribeOptions['onBatches'] = async (batches) => {
      await options.onBatches(batches);
      await beforeCommit?.();
    };
    this.delivery = new Delivery({ maxBatch, onBatches, onError });
  }

  report(error: unknown): void {
    try {
      this.options.onError?.(error);
    } catch {
      // As in Delivery.
    }
  }
}

/** Who reads a partition for the group. The reader itself is the generation: only the current one may commit. */
interface Seat {
  readonly partition: Partition;
  next: number;
  owner: Member | null;
  reader: Reader | null;
  wanted: Member | null;
  /** Runs while somebody else waits for the partition. */
  fence: NodeJS.Timeout | null;
}

export interface GroupOptions {
  readonly name: string;
  readonly file: LogFile;
  /** How long a partition waits for the batch in hand before it moves without it, in milliseconds. */
  readonly rebalanceTimeoutMs: number;
  readonly onCommit: (partition: Partition, next: number) => void;
}

/** The members of one consumer group in this process, and which of them reads which partition. */
export class Group {
  private readonly members: Member[] = [];
  private readonly seats = new Map<Partition, Seat>();
  private readonly stored: ReadonlyMap<number, number>;

  constructor(private readonly options: GroupOptions) {
    this.stored = options.file.positionsOf(options.name);
  }

  join(member: Member): void {
    this.members.push(member);
    this.rebalance();
  }

  /** Gives the member's partitions to the others; resolves when its batches in hand have ended. */
  async leave(member: Member): Promise<void> {
    const index = this.members.indexOf(member);
    if (index >= 0) this.members.splice(index, 1);
    const readers = [...member.readers];
    this.rebalance();
    await Promise.all(readers.map((reader) => reader.leave()));
  }

  /** Offset the group reads next. */
  position(partition: Partition): number {
    return Math.max(this.seat(partition).next, partition.first);
  }

  private seat(partition: Partition): Seat {
    let seat = this.seats.get(partition);
    if (!seat) {
      const next = this.stored.get(partition.id) ?? partition.first;
      seat = { partition, next, owner: null, reader: null, wanted: null, fence: null };
      this.seats.set(partition, seat);
    }
    return seat;
  }

  private rebalance(): void {
    const topics = new Set(this.members.flatMap((member) => member.options.topics));
    for (const topic of topics) {
      const seats = (this.options.file.topic(topic)?.partitions ?? []).map((partition) => this.seat(partition));
      share(
        seats,
        this.members.filter((member) => member.options.topics.includes(topic)),
      );
    }
    for (const seat of this.seats.values()) {
      if (!topics.has(seat.partition.topic)) seat.wanted = null;
      this.settle(seat);
    }
  }

  /** Moves the seat towards its wanted owner: at once if nobody sits there, else when the batch in hand has ended. */
  private settle(seat: Seat): void {
    const { reader, owner } = seat;
    if (!reader) {
      if (seat.wanted) this.occupy(seat, seat.wanted);
      return;
    }
    // Nobody else waiting means nothing to fence: the batch in hand may take its time.
    const contested = seat.wanted !== null && seat.wanted !== owner;
    if (!contested) clearFence(seat);
    if (owner === seat.wanted && !reader.leaving) return;
    if (!reader.leaving) {
      void reader.leave().then(() => {
        owner?.readers.delete(reader);
        if (seat.reader === reader) this.vacate(seat);
      });
    }
    if (contested && !seat.fence) {
      seat.fence = setTimeout(() => {
        owner?.report(
          new Error(
            `A batch of ${seat.partition.topic}/${seat.partition.number} held up the group ${this.options.name} for ` +
              `${this.options.rebalanceTimeoutMs} ms; its partition moves on and its commit will be refused.`,
          ),
        );
        this.vacate(seat);
      }, this.options.rebalanceTimeoutMs);
    }
  }

  private vacate(seat: Seat): void {
    clearFence(seat);
    seat.reader = null;
    seat.owner = null;
    this.settle(seat);
  }

  private occupy(seat: Seat, member: Member): void {
    const reader: Reader = new Reader({
      file: this.options.file,
      partition: seat.partition,
      from: seat.next,
      delivery: member.delivery,
      onError: member.options.onError,
      onHandled: (source, next) => {
        if (seat.reader !== source) return false;
        seat.next = next;
        this.options.onCommit(seat.partition, next);
        return true;
      },
    });
    member.readers.add(reader);
    seat.owner = member;
    seat.reader = reader;
  }
}

function clearFence(seat: Seat): void {
  if (seat.fence) clearTimeout(seat.fence);
  seat.fence = null;
}

/** Even shares, moving as few partitions as possible: whoever has one keeps it up to its share. */
function share(seats: readonly Seat[], members: readonly Member[]): void {
  const least = Math.floor(seats.length / members.length);
  let withOneMore = seats.length % members.length;
  const count = new Map(members.map((member) => [member, 0]));
  const give = (seat: Seat, member: Member): boolean => {
    const has = count.get(member);
    if (has === undefined || has > least || (has === least && withOneMore === 0)) return false;
    if (has === least) withOneMore--;
    count.set(member, has + 1);
    seat.wanted = member;
    return true;
  };
  const open = seats.filter((seat) => !seat.wanted || !give(seat, seat.wanted));
  for (const seat of open) {
    const [poorest] = [...members].sort((a, b) => (count.get(a) ?? 0) - (count.get(b) ?? 0));
    if (poorest) give(seat, poorest);
  }
}
