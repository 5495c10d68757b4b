/**
 * Messages as bytes: deterministic CBOR, parsed strictly on the way in, because
 * even an admitted node may be broken or of another version.
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

const task = z.strictObject({
  id: taskId,
  app: appId,
  slot: slotId,
  revision: revisionId,
  state: z.enum(TASK_STATES),
  health: z.enum(['none', 'unknown', 'healthy', 'unhealthy']),
  ports: z
    .array(
      z.strictObject({
        name: text(63),
        protocol: z.enum(['tcp', 'udp']),
        containerPort: portNumber,
        hostPort: portNumber,
      }),
    )
    .max(64),
  sinceMs: z.number(),
  message: text(500),
  exitCode: z.int().exactOptional(),
  fence: count.exactOptional(),
})

// Loose: a newer version's fields stay in, or its signature would not fit.
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
  steady: z.boolean(),
  flapping: z.boolean(),
  fence: count,
})

const signed = z.strictObject({ record, signature: bytes })
const version = z.strictObject({ node: nodeId, incarnation: count, seq: count })

const token = z.number().min(0).max(Number.MAX_SAFE_INTEGER)
/** Most claims in one message. */
const claimsMax = 2 * TASKS_PER_NODE_MAX
const claim = z.strictObject({
  slot: slotId,
  token,
  termMs: z.number().min(0).max(1e13),
  renews: z.boolean(),
})
const grant = z.strictObject({
  slot: slotId,
  ok: z.boolean(),
  token,
  holder: nodeId.exactOptional(),
  leftMs: z.number().min(0).exactOptional(),
})

const message = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('desired'), update: bytes }),
  z.strictObject({ kind: z.literal('store'), id: count, update: bytes }),
  z.strictObject({ kind: z.literal('stored'), id: count }),
  z.strictObject({ kind: z.literal('record'), signed }),
  z.strictObject({
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
  z.strictObject({
    kind: z.literal('claim'),
    round: count,
    claims: z.array(claim).max(claimsMax),
  }),
  z.strictObject({
    kind: z.literal('granted'),
    round: count,
    grants: z.array(grant).max(claimsMax),
  }),
  z.strictObject({
    kind: z.literal('release'),
    slots: z.array(z.strictObject({ slot: slotId, token })).max(claimsMax),
  }),
  z.strictObject({ kind: z.literal('offer'), digest: text(64) }),
  z.strictObject({
    kind: z.literal('have'),
    vector: bytes,
    records: z.array(version).max(NODES_MAX),
    answer: z.boolean(),
  }),
  z.strictObject({
    kind: z.literal('fill'),
    update: bytes,
    records: z.array(signed).max(NODES_MAX),
  }),
])

/** A message as bytes. */
export function encodeMessage(value: Message): Uint8Array {
  return toBytes(value)
}

/** Reads a message; nothing and a reason when the bytes are none. Never throws. */
export function parseMessage(
  encoded: Uint8Array,
):
  | { readonly ok: true; readonly message: Message }
  | { readonly ok: false; readonly reason: string } {
  let value: unknown
  try {
    value = fromBytes(encoded)
  } catch (error) {
    return { ok: false, reason: `not CBOR: ${String(error)}` }
  }
  const parsed = message.safeParse(value)
  // The schema leaves fields of newer versions in, which the type does not say.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  if (parsed.success) return { ok: true, message: parsed.data as Message }
  const [issue] = parsed.error.issues
  return {
    ok: false,
    reason: `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a message'}`,
  }
}
