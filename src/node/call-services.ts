import type { Logger } from 'pino'
import { checkJoin, encodeJoinAnswer, parseJoinRequest, type JoinAnswer } from '../gossip/join.ts'
import type { TransportListener } from '../gossip/transport.ts'
import type { NodeId, TaskId } from '../model/ids.ts'
import type { LogChunk, LogOptions } from '../runtime/runtime.ts'
import type { ClusterFile } from '../store/cluster-file.ts'
import { fromBytes, toBytes } from '../util/bytes.ts'
import type { Verify } from '../util/keys.ts'
import { z } from 'zod'
import { LIVENESS_SERVICE } from './liveness-stream.ts'
import type { NodeMachine } from './machine/node-machine.ts'
import type { EditResult, NodeEvent } from './machine/events.ts'
import type { Requests } from './requests.ts'

/** What the services answer with. */
export interface CallServicesOptions {
  readonly cluster: ClusterFile
  readonly machine: NodeMachine
  readonly requests: Requests
  readonly push: (event: NodeEvent) => void
  readonly verify: Verify
  readonly log: Logger
  readonly logs: (task: TaskId, options: LogOptions) => AsyncIterable<LogChunk>
  /** Answers a liveness message that came by stream. */
  readonly liveness: (from: NodeId, datagram: Uint8Array) => Promise<readonly Uint8Array[]>
}

const logsRequest = z.strictObject({
  task: z.custom<TaskId>(value => typeof value === 'string' && value !== '' && value.length <= 320),
  follow: z.boolean(),
  tail: z.int().min(0).max(1_000_000).exactOptional(),
})

/** The body of a `logs` call. */
export function encodeLogsRequest(request: {
  readonly task: TaskId
  readonly follow: boolean
  readonly tail?: number
}): Uint8Array {
  return toBytes(request)
}

/** A piece of an answer to `logs`: one byte for the stream, then the data. Nothing for the empty first piece. */
export function readLogPiece(piece: Uint8Array): LogChunk | undefined {
  if (piece.length === 0) return undefined
  return { stream: piece[0] === 2 ? 'stderr' : 'stdout', data: piece.subarray(1) }
}

/** What other nodes may ask this one for. An error that is thrown is told to the caller. */
export function createCallServices(options: CallServicesOptions): TransportListener['onCall'] {
  const { machine, cluster, log } = options

  return (call, signal) => {
    switch (call.service) {
      case 'join':
        return admit(call.from, call.body)
      case 'logs':
        return sendLogs(call.body, signal)
      case LIVENESS_SERVICE:
        return answerLiveness(call.from, call.body)
      default:
        return refuse(`this node has no service "${call.service}": it may run an older version`)
    }
  }

  async function* admit(from: NodeId, body: Uint8Array): AsyncIterable<Uint8Array> {
    const request = parseJoinRequest(body)
    if (!request.ok) throw new Error(request.reason)
    const { token, name } = request.value
    const checked = checkJoin(token, {
      cluster: cluster.cluster,
      psk: Buffer.from(cluster.psk, 'hex'),
      admitted: machine.admitted,
      nowMs: Date.now(),
      verify: options.verify,
    })
    if (!checked.ok) throw new Error(checked.reason)
    const taken = [...machine.doc.read().nodes.values()].some(
      admission => admission.name === name && admission.node !== from,
    )
    if (taken) {
      throw new Error(
        `the cluster has a node called ${name} already: choose another name with --name`,
      )
    }
    const result = await edit({ kind: 'edited', edit: { kind: 'admit', node: from, name } })
    if (!result.ok) throw new Error(result.reason)
    log.info({ node: from, name, version: request.value.version }, 'admitted a node')
    yield encodeJoinAnswer(joinAnswer())
  }

  function joinAnswer(): JoinAnswer {
    const document = machine.doc.since(new Uint8Array())
    if (document === undefined) throw new Error('this node has no document')
    const addresses = machine.book
      .records()
      .map(({ node, multiaddrs }) => [node, multiaddrs.slice(0, 16)] as const)
    return {
      cluster: cluster.cluster,
      document,
      admitted: [...machine.admitted],
      addresses: new Map(addresses),
    }
  }

  async function edit(
    event: Omit<Extract<NodeEvent, { kind: 'edited' }>, 'request'>,
  ): Promise<EditResult> {
    return await options.requests.make(request => options.push({ ...event, request }))
  }

  async function* answerLiveness(from: NodeId, datagram: Uint8Array): AsyncIterable<Uint8Array> {
    yield* await options.liveness(from, datagram)
  }

  async function* sendLogs(body: Uint8Array, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const { task, ...rest } = logsRequest.parse(fromBytes(body))
    yield new Uint8Array() // The log may be silent for long: this is the sign that somebody is there.
    for await (const { stream, data } of options.logs(task, { ...rest, signal })) {
      yield Buffer.concat([Uint8Array.of(stream === 'stderr' ? 2 : 1), data])
    }
  }
}

// eslint-disable-next-line require-yield
async function* refuse(reason: string): AsyncIterable<Uint8Array> {
  throw new Error(reason)
}
