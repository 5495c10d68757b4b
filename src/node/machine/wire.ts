/**
 * Messages as bytes: deterministic CBOR, checked on the way in, because even an
 * admitted node may be broken or of another version.
 *
 * Nodes of two versions live side by side while a cluster is upgraded, so what is
 * known must be right, and what is not known is passed over: fields of a message are
 * dropped, fields of a record stay (they are signed, and are relayed as they came), and
 * a message of an unknown kind is told apart from one that is broken
 * (docs/decisions/0013-versions-side-by-side.md).
 *
 * @module
 */

import { z } from 'zod'
import {
  isAppId,
  type AppId,
  type NodeId,
  type RevisionId,
  type SlotId,
  type TaskId,
} from '../../model/ids.ts'
import { ADDRESSES_MAX } from '../../model/node-record.ts'
import { TASK_STATES } from '../../model/task.ts'
import { fromBytes, toBytes } from '../../util/bytes.ts'
import { isNodeId } from '../../util/keys.ts'
import type { Message } from './events.ts'

/** Most tasks that one node's record may have. */
export const TASKS_PER_NODE_MAX = 4_096

/** Most records in one message of anti-entropy, and most nodes of a cluster. */
export const NODES_MAX = 16_384

const nodeId = z.custom<NodeId>(value => typeof value === 'string' && isNodeId(value))
const appId = z.custom<AppId>(value => typeof value === 'string' && isAppId(value))
const branded = <T>(lengthMax: number): z.ZodType<T> =>
  z.custom<T>(value => typeof value === 'string' && value.length > 0 && value.length <= lengthMax)
const slotId = branded<SlotId>(300)
const taskId = branded<TaskId>(320)
const revisionId = branded<RevisionId>(64)
const text = (lengthMax: number): z.ZodString => z.string().max(lengthMax)
const bytes = z.custom<Uint8Array>(value => value instanceof Uint8Array)
const count = z.int().min(0)
const portNumber = z.int().min(0).max(65_535)

// Loose, as all that a record is made of: a newer version's fields stay in, or its signature would not fit.
const task = z.looseObject({
  id: taskId,
  app: appId,
  slot: slotId,
  revision: revisionId,
  state: z.enum(TASK_STATES),
  health: z.enum(['none', 'unknown', 'healthy', 'unhealthy']),
  ports: z
    .array(
      z.looseObject({
        name: text(63),
        protocol: z.enum(['tcp', 'udp']),
        containerPort: portNumber,
        hostPort: portNumber,
      }),
    )
    .max(64),
  sinceMs: z.number(),
  ranSinceMs: z.number().exactOptional(),
  message: text(500),
  exitCode: z.int().exactOptional(),
  fence: count.exactOptional(),
})

const record = z.looseObject({
  node: nodeId,
  incarnation: count,
  seq: count,
  name: text(255),
  address: text(64),
  multiaddrs: z.array(text(512)).max(64),
  probePort: portNumber,
  dnsPort: portNumber,
  labels: z.record(text(255), text(4_096)),
  runtimes: z.looseObject({ docker: z.boolean(), process: z.boolean() }),
  capacity: z.looseObject({
    cpus: z.number().min(0),
    memMb: z.number().min(0),
    diskMb: z.number().min(0),
    gpus: z.number().min(0),
  }),
  version: text(64),
  tasks: z.array(task).max(TASKS_PER_NODE_MAX),
  refusals: z
    .array(z.looseObject({ slot: slotId, revision: revisionId, reason: text(2_000) }))
    .max(TASKS_PER_NODE_MAX),
  waits: z.array(z.looseObject({ slot: slotId, reason: text(2_000) })).max(100_000),
  inputsHash: text(64),
  placementHash: text(64),
  leaving: z.boolean(),
  steady: z.boolean().exactOptional(),
  flapping: z.boolean().exactOptional(),
  fence: count.exactOptional(),
  addresses: z.array(text(64)).max(ADDRESSES_MAX).exactOptional(),
  run: z
    .looseObject({
      id: text(64).min(1),
      startedAtMs: z.number(),
      atMs: z.number(),
      met: z.array(z.looseObject({ id: text(64), uptimeMs: z.number() })).max(64),
      twin: text(64).exactOptional(),
    })
    .exactOptional(),
})

const signed = z.object({ record, signature: bytes })
const version = z.object({ node: nodeId, incarnation: count, seq: count })

const token = z.number().min(0).max(Number.MAX_SAFE_INTEGER)
/** Most claims in one message. */
const claimsMax = 2 * TASKS_PER_NODE_MAX
const claim = z.object({
  slot: slotId,
  token,
  termMs: z.number().min(0).max(1e13),
  renews: z.boolean(),
})
const grant = z.object({
  slot: slotId,
  ok: z.boolean(),
  token,
  holder: nodeId.exactOptional(),
  leftMs: z.number().min(0).exactOptional(),
})

const message = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('desired'), update: bytes }),
  z.object({ kind: z.literal('store'), id: count, update: bytes }),
  z.object({ kind: z.literal('stored'), id: count }),
  z.object({ kind: z.literal('record'), signed }),
  z.object({
    kind: z.literal('delta'),
    node: nodeId,
    incarnation: count,
    baseSeq: count,
    seq: count,
    fields: record.omit({ node: true, incarnation: true, seq: true, tasks: true }).partial(),
    order: z.array(taskId).max(TASKS_PER_NODE_MAX),
    tasks: z.array(task).max(TASKS_PER_NODE_MAX),
    signature: bytes,
  }),
  z.object({
    kind: z.literal('claim'),
    round: count,
    claims: z.array(claim).max(claimsMax),
  }),
  z.object({
    kind: z.literal('granted'),
    round: count,
    grants: z.array(grant).max(claimsMax),
  }),
  z.object({
    kind: z.literal('release'),
    slots: z.array(z.object({ slot: slotId, token })).max(claimsMax),
  }),
  z.object({
    kind: z.literal('offer'),
    digest: text(64),
    inputsHash: text(64).exactOptional(),
    placementHash: text(64).exactOptional(),
  }),
  z.object({
    kind: z.literal('have'),
    vector: bytes,
    records: z.array(version).max(NODES_MAX),
    answer: z.boolean(),
  }),
  z.object({
    kind: z.literal('fill'),
    update: bytes,
    records: z.array(signed).max(NODES_MAX),
  }),
])

const KINDS: ReadonlySet<string> = new Set(message.options.map(option => option.shape.kind.value))

/** Of an unknown kind's name so much is told. */
const KIND_LENGTH_MAX = 40

/** A message as bytes. */
export function encodeMessage(value: Message): Uint8Array {
  return toBytes(value)
}

/** What bytes are no message for. */
export type MessageFault = 'malformed' | 'unknown-kind'

/** A message, or why the bytes are none. */
export type ParsedMessage =
  | { readonly ok: true; readonly message: Message }
  | { readonly ok: false; readonly fault: MessageFault; readonly reason: string }

/** Reads a message. Never throws; `unknown-kind` is what a newer version may send, and no offence. */
export function parseMessage(encoded: Uint8Array): ParsedMessage {
  let value: unknown
  try {
    value = fromBytes(encoded)
  } catch (error) {
    return { ok: false, fault: 'malformed', reason: `not CBOR: ${String(error)}` }
  }
  const kind = kindOf(value)
  if (kind !== undefined && !KINDS.has(kind)) {
    return { ok: false, fault: 'unknown-kind', reason: kind.slice(0, KIND_LENGTH_MAX) }
  }
  const parsed = message.safeParse(value)
  // The schema leaves fields of newer versions in, which the type does not say.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  if (parsed.success) return { ok: true, message: parsed.data as Message }
  const [issue] = parsed.error.issues
  return {
    ok: false,
    fault: 'malformed',
    reason: `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a message'}`,
  }
}

function kindOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !('kind' in value)) return undefined
  return typeof value.kind === 'string' ? value.kind : undefined
}
