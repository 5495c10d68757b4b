import { createToken, parseToken, TOKEN_ADDRESSES_MAX } from '../gossip/token.ts'
import type { Transport } from '../gossip/transport.ts'
import { runtimeOf } from '../model/app.ts'
import type { TaskId } from '../model/ids.ts'
import { createExplain, type Explain } from '../placement/explain.ts'
import type { PlacementInput } from '../placement/input.ts'
import type { LogChunk, LogOptions } from '../runtime/runtime.ts'
import { createVerify, type NodeKey } from '../util/keys.ts'
import { encodeLogsRequest, readLogPiece } from './call-services.ts'
import { createDnsService, type CreateDnsServiceOptions } from './create-dns-service.ts'
import type { EventLog } from './event-log.ts'
import type { NodeEvent } from './machine/events.ts'
import { isMajority } from './machine/majority.ts'
import type { NodeMachine } from './machine/node-machine.ts'
import type { Requests } from './requests.ts'
import type { NodeService, NodeView, TaskView } from './service.ts'
import type { TaskRunner } from './task-runner.ts'
import { wantedSlots } from './wanted-slots.ts'

/** How long another node may take to say that it will send a log, in milliseconds. */
const LOGS_TIMEOUT_MS = 5_000

/** What a service is made of. */
export interface CreateServiceOptions extends Pick<
  NodeService,
  'cluster' | 'name' | 'version' | 'startedAtMs' | 'ports' | 'dataDir' | 'metrics'
> {
  readonly dns: Omit<CreateDnsServiceOptions, 'machine' | 'nodes' | 'tasks'>
  readonly psk: Uint8Array
  readonly key: NodeKey
  readonly machine: NodeMachine
  readonly requests: Requests
  readonly events: EventLog
  readonly transport: Transport
  readonly runner: TaskRunner
  readonly push: (event: NodeEvent) => void
}

/** Makes what the API talks to. */
export function createService(options: CreateServiceOptions): NodeService {
  const { machine, requests, events, transport, runner, push, key } = options
  const { cluster, name, version, startedAtMs, ports, dns, dataDir, metrics } = options

  /** Kept while the placement is the same: `ps` of many pending slots asks for each. */
  let explained: { readonly input: PlacementInput; readonly explain: Explain } | undefined

  function nodes(): NodeView[] {
    const admissions = [...machine.doc.read().nodes.values()]
    return admissions.map(({ node, name: admittedName }) => {
      const record = machine.book.get(node)
      return {
        node,
        name: record?.name ?? admittedName,
        isSelf: node === machine.self,
        verdict: machine.members.verdict(node),
        awaySinceMs: machine.split.awaySinceMs(node),
        record,
      }
    })
  }

  function tasks(): TaskView[] {
    return nodes().flatMap(node => (node.record?.tasks ?? []).map(task => ({ node, task })))
  }

  async function* logs(
    task: TaskId,
    logOptions: Omit<LogOptions, 'signal'> & { readonly signal: AbortSignal },
  ): AsyncIterable<LogChunk> {
    const owner = tasks().find(view => view.task.id === task)
    if (owner === undefined) throw new Error(`no node has a task ${task}`)
    if (owner.node.isSelf) {
      yield* localLogs(machine, runner, task, logOptions)
      return
    }
    const { signal, ...rest } = logOptions
    const body = encodeLogsRequest({ task, ...rest })
    const pieces = transport.call(owner.node.node, 'logs', body, {
      signal,
      timeoutMs: LOGS_TIMEOUT_MS,
    })
    for await (const piece of pieces) {
      const chunk = readLogPiece(piece)
      if (chunk !== undefined) yield chunk
    }
  }

  return {
    cluster,
    self: machine.self,
    name,
    version,
    startedAtMs,
    ports,
    dns: createDnsService({ ...dns, machine, nodes, tasks }),
    dataDir,
    metrics,
    desired: () => machine.doc.read(),
    history: app => machine.doc.history(app),
    conflicts: () => machine.doc.conflicts(),
    nodes,
    seesMajority: () => {
      const { admitted, members } = machine
      const present = [...admitted].filter(node => members.isPresent(node))
      return isMajority(new Set(present), admitted)
    },
    brake: () => machine.brake,
    tasks,
    placedOn: slot => machine.placed.placement.placed.get(slot),
    slots: app => {
      const wanted = machine.doc.read().apps.get(app)
      return wanted === undefined ? [] : [...wantedSlots(machine, wanted)]
    },
    explain: slot => {
      const { input } = machine.placed
      if (explained?.input !== input) explained = { input, explain: createExplain(input) }
      return explained.explain(slot)
    },
    waits: () =>
      nodes().flatMap(({ name: node, record }) =>
        (record?.waits ?? []).map(({ slot, reason }) => ({ slot, reason, node })),
      ),
    // The importers are loaded when somebody applies a file: most daemons never need their memory.
    readManifests: async files => {
      const { readManifests } = await import('../formats/read-manifest.ts')
      return readManifests(files)
    },
    edit: async edit => await requests.make(request => push({ kind: 'edited', request, edit })),
    events: () => events.recent(),
    listen: listener => events.listen(listener),
    logs,
    createToken: (ttlMs, { withAddresses }) =>
      createToken({
        cluster,
        psk: options.psk,
        addresses: withAddresses ? tokenAddresses(transport, machine) : [],
        expiresAtMs: Date.now() + ttlMs,
        key,
      }),
    printManifest: async spec => {
      const { printManifest } = await import('../formats/native.ts')
      return printManifest(spec)
    },
    parseToken: text => {
      const parsed = parseToken(text, { nowMs: Date.now(), verify: createVerify() })
      return parsed.ok ? { ok: true, cluster: parsed.token.cluster } : parsed
    },
    leave: async () => await requests.make(request => push({ kind: 'leave-asked', request })),
  }
}

/** The output of a task of this node. */
export function localLogs(
  machine: NodeMachine,
  runner: TaskRunner,
  task: TaskId,
  options: LogOptions,
): AsyncIterable<LogChunk> {
  const own = machine.book.get(machine.self)?.tasks.find(({ id }) => id === task)
  if (own === undefined) throw new Error(`this node has no task ${task}`)
  const spec =
    machine.doc.revision(own.app, own.revision)?.spec ?? machine.doc.read().apps.get(own.app)?.spec
  return runner.logs(task, spec === undefined ? 'docker' : runtimeOf(spec), options)
}

/** This node first, then others that are alive: the token works when this one is gone, too. */
function tokenAddresses(transport: Transport, machine: NodeMachine): string[] {
  const others = machine.book
    .records()
    .filter(({ node }) => node !== machine.self && machine.members.isAlive(node))
    .flatMap(({ multiaddrs }) => multiaddrs.slice(0, 1))
  return [...transport.multiaddrs().slice(0, 4), ...others].slice(
    0,
    Math.min(8, TOKEN_ADDRESSES_MAX),
  )
}
