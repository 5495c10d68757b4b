import type { NodeRecord, SignedRecord } from '../../src/model/node-record.ts'
import type { Message, RecordDelta } from '../../src/node/machine/events.ts'
import { toBytes } from '../../src/util/bytes.ts'
import { signerOf } from './keys.ts'
import type { SimHost } from './host.ts'

/** How a version of Shoal that is not this one speaks and hears. */
export interface Dialect {
  /** What the host's daemon says instead of what this version's machine would. */
  readonly say: (host: SimHost, message: Message) => readonly Message[]
  /** The kinds of messages that this version knows. */
  readonly kinds: readonly string[]
  /** The kinds that are its own alone: the machine, which is of this version, is not told. */
  readonly ownKinds: readonly string[]
}

/** What the first version had no words for. */
const SINCE_THE_FIRST = ['run', 'steady', 'flapping', 'fence'] as const
const FIRST_KINDS = ['desired', 'store', 'stored', 'record', 'delta', 'offer', 'have', 'fill']
const THESE_KINDS = [...FIRST_KINDS, 'claim', 'granted', 'release']

/** The first version: its records lack all that came later, and so do its ears. */
export const FIRST: Dialect = {
  say: (host, message) => inWords(host, message, withoutNews),
  kinds: FIRST_KINDS,
  ownKinds: [],
}

/** This version. */
export const THIS: Dialect = {
  say: (_host, message) => [message],
  kinds: THESE_KINDS,
  ownKinds: [],
}

/** A version to come: it adds fields at every depth and messages of its own, and omits nothing. */
export const NEXT: Dialect = {
  say: (host, message) => [
    ...inWords(host, message, withMore).map((said): Message => Object.assign({ hops: 3 }, said)),
    { kind: 'weather', of: host.name, calm: true } as unknown as Message,
  ],
  kinds: THESE_KINDS,
  ownKinds: ['weather'],
}

/** The message with the host's own record as its version writes and signs it; others' records are relayed as they came. */
function inWords(
  host: SimHost,
  message: Message,
  write: (record: NodeRecord) => NodeRecord,
): readonly Message[] {
  const own = host.machine!.book.get(host.node)
  const sign = (record: NodeRecord): SignedRecord => {
    const written = write(record)
    return { record: written, signature: signerOf(host.node)(toBytes(written)) }
  }
  const signed = (one: SignedRecord): SignedRecord =>
    one.record.node === host.node ? sign(one.record) : one
  if (message.kind === 'record') return [{ ...message, signed: signed(message.signed) }]
  if (message.kind === 'fill') return [{ ...message, records: message.records.map(signed) }]
  if (message.kind !== 'delta' || message.node !== host.node) return [message]
  // Two in one turn: of the first, the whole record is not there any more. As if it were lost.
  return own?.seq === message.seq ? [changeTo(sign(own), message)] : []
}

/** The change that `delta` is, with the fields and tasks as `signed` has them. */
function changeTo({ record, signature }: SignedRecord, delta: RecordDelta): RecordDelta {
  const changed = new Set(delta.tasks.map(({ id }) => id))
  const { node: _node, incarnation: _incarnation, seq: _seq, tasks, ...fields } = record
  return { ...delta, fields, tasks: tasks.filter(({ id }) => changed.has(id)), signature }
}

function withoutNews(record: NodeRecord): NodeRecord {
  const entries = Object.entries(record).filter(([key]) => !SINCE_THE_FIRST.includes(key as never))
  return Object.fromEntries(entries) as unknown as NodeRecord
}

function withMore(record: NodeRecord): NodeRecord {
  const more = { moons: { count: 2 }, names: ['Phobos', 'Deimos'] }
  return {
    ...record,
    ...more,
    capacity: { ...record.capacity, ...more },
    runtimes: { ...record.runtimes, ...more },
    waits: record.waits.map(wait => ({ ...wait, ...more })),
    refusals: record.refusals.map(refusal => ({ ...refusal, ...more })),
    tasks: record.tasks.map(task => ({
      ...task,
      ...more,
      ports: task.ports.map(port => ({ ...port, ...more })),
    })),
    ...(record.run && { run: { ...record.run, ...more } }),
    version: '9.0.0',
  }
}
