/** Asks the servers, in their own protocols, for something they can only answer when they really serve. */
import { Buffer } from 'node:buffer';
import { connect } from 'node:net';

const ANSWER_MS = 5_000;

/** A conversation with a server on this machine. @throws Error when it closes, or is silent for too long */
async function converse(port, talk) {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined); // the reader below hears of it
  socket.setTimeout(ANSWER_MS, () => socket.destroy(new Error(`no answer on port ${port}`)));
  const chunks = socket[Symbol.asyncIterator]();
  let rest = Buffer.alloc(0);
  const read = async (length) => {
    while (rest.length < length) {
      const { value, done } = await chunks.next();
      if (done) throw new Error(`port ${port} closed the connection`);
      rest = Buffer.concat([rest, value]);
    }
    const taken = rest.subarray(0, length);
    rest = rest.subarray(length);
    return taken;
  };
  try {
    return await talk(read, (bytes) => socket.write(bytes));
  } finally {
    socket.destroy();
  }
}

const int16 = (value) => {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
};
const int32 = (value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const kafkaString = (text) => Buffer.concat([int16(Buffer.byteLength(text)), Buffer.from(text)]);

async function kafkaRequest(read, write, api, version, body) {
  const request = Buffer.concat([int16(api), int16(version), int32(1), kafkaString('probe'), body]);
  write(Buffer.concat([int32(request.length), request]));
  const length = (await read(4)).readInt32BE();
  return (await read(length)).subarray(4); // without the request's number
}

/** Groups whose names fall on each of the five partitions of __consumer_offsets. */
export const GROUPS = ['a', 'b', 'c', 'd', 'e'];
const FIND_COORDINATOR = 10;
const DESCRIBE_GROUPS = 15;

/** Kafka serves groups: the offsets topic is there, and each of its partitions has been loaded. */
export const probeKafka = (port) =>
  converse(port, async (read, write) => {
    for (const group of GROUPS) {
      const found = await kafkaRequest(
        read,
        write,
        FIND_COORDINATOR,
        1,
        Buffer.concat([kafkaString(group), Buffer.of(0)]),
      );
      if (found.readInt16BE(4) !== 0) throw new Error(`no coordinator yet, Kafka's error ${found.readInt16BE(4)}`);
      const body = Buffer.concat([int32(1), kafkaString(group)]);
      const described = await kafkaRequest(read, write, DESCRIBE_GROUPS, 0, body);
      if (described.readInt16BE(4) !== 0)
        throw new Error(`groups not ready, Kafka's error ${described.readInt16BE(4)}`);
    }
  });

async function mysqlPacket(read) {
  const header = await read(4);
  const body = await read(header.readUIntLE(0, 3));
  if (body[0] === 0xff) throw new Error(`MySQL: ${body.subarray(3).toString()}`);
  return { sequence: header[3], body };
}

function mysqlSend(write, sequence, body) {
  const header = Buffer.alloc(4);
  header.writeUIntLE(body.length, 0, 3);
  header[3] = sequence;
  write(Buffer.concat([header, body]));
}

/** The greeting ends with the name of the way to log in. */
function mysqlPlugin(greeting) {
  const salt = greeting.indexOf(0, 1) + 5;
  const begin = salt + 27 + Math.max(13, greeting[salt + 16] - 8);
  return greeting.subarray(begin, greeting.indexOf(0, begin));
}

/** MySQL answers a query of root, who has no password on this machine. */
export const probeMysql = (port) =>
  converse(port, async (read, write) => {
    const greeting = await mysqlPacket(read);
    const login = Buffer.alloc(32);
    login.writeUInt32LE(0x88201); // long password, protocol 4.1, secure connection, plugin
    login.writeUInt32LE(0x1000000, 4);
    login[8] = 45; // utf8mb4
    const user = Buffer.from('root\0\0');
    const plugin = mysqlPlugin(greeting.body);
    mysqlSend(write, greeting.sequence + 1, Buffer.concat([login, user, plugin, Buffer.of(0)]));
    const answer = await mysqlPacket(read);
    if (answer.body[0] === 0xfe) {
      mysqlSend(write, answer.sequence + 1, Buffer.alloc(0));
      await mysqlPacket(read);
    }
    mysqlSend(write, 0, Buffer.from('\x03SELECT 1'));
    const { body } = await mysqlPacket(read);
    if (body[0] !== 1) throw new Error('MySQL did not answer SELECT 1');
  });

const littleEndian = (value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
};

const sized = (bytes) => Buffer.concat([littleEndian(bytes.length + 4), bytes]);

/** { listDatabases: 1, $db: 'admin' }: unlike ping, it needs the database behind FerretDB. */
const LIST_DATABASES = sized(
  Buffer.concat([
    Buffer.from('\x10listDatabases\0'),
    littleEndian(1),
    Buffer.from('\x02$db\0'),
    littleEndian(6),
    Buffer.from('admin\0\0'),
  ]),
);
const OP_MSG = 2013;
const OK = Buffer.from('\x01ok\0\0\0\0\0\0\0\xf0\x3f', 'latin1'); // ok: 1.0

/** The MongoDB server, and the store behind it, answer a command. */
export const probeMongo = (port) =>
  converse(port, async (read, write) => {
    const numbers = [1, 0, OP_MSG, 0].map(littleEndian);
    write(sized(Buffer.concat([...numbers, Buffer.of(0), LIST_DATABASES])));
    const length = (await read(4)).readInt32LE();
    const answer = await read(length - 4);
    if (!answer.includes(OK)) throw new Error('the MongoDB server did not list its databases');
  });
