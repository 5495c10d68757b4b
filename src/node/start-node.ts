import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { Logger } from 'pino'
import type { MesosView } from '../dns/dns-view.ts'
import { startLibp2pTransport } from '../gossip/libp2p-transport.ts'
import { startLiveness, type Liveness } from '../gossip/liveness/start-liveness.ts'
import type { Transport, TransportListener } from '../gossip/transport.ts'
import type { NodeId } from '../model/ids.ts'
import { CLUSTER_FILE } from '../store/cluster-file.ts'
import { DATABASE_FILE } from '../store/sqlite-store.ts'
import { createSteadyClock } from '../runtime/moment.ts'
import { createNodeKey, createVerify } from '../util/keys.ts'
import { createAdmissionGate } from './admission-gate.ts'
import { createCallServices } from './call-services.ts'
import { containerDnsOf } from './container-dns.ts'
import { createService, localLogs } from './create-service.ts'
import { DnsSync } from './dns-sync.ts'
import { EventLog } from './event-log.ts'
import { explainListen } from './explain-listen.ts'
import { startLoop, type Loop } from './loop.ts'
import type { NodeFacts } from './machine/events.ts'
import { NodeMachine } from './machine/node-machine.ts'
import { parseMessage } from './machine/wire.ts'
import { JoinError } from './found-cluster.ts'
import { createMetrics } from './metrics.ts'
import { createLivenessStream } from './liveness-stream.ts'
import { createNewsCheck } from './news-check.ts'
import { openFolder, type OpenFolder } from './open-cluster.ts'
import { openDns } from './open-dns.ts'
import { openGuard } from './open-guard.ts'
import { openRuntimes } from './open-runtimes.ts'
import { bindAddress, DOMAIN, machineCapacity, type NodeOptions } from './options.ts'
import { PeerSync } from './peer-sync.ts'
import { createPerform } from './perform-effect.ts'
import { Requests } from './requests.ts'
import type { NodeService } from './service.ts'
import { startStallWatch } from './stall-watch.ts'
import { startTaskRunner, type TaskRunner } from './task-runner.ts'
import { startTrimmingHeap } from './trim-heap.ts'
import { VERSION } from './version.ts'

/** Changes are gathered for so long before DNS and the others' addresses follow, in milliseconds. */
const SYNC_MS = 10

/** Stalls of the main thread from this on are told to the operator, in milliseconds. */
const STALL_TOLD_MS = 1_000

/** A node that runs. */
export interface Node {
  readonly service: NodeService
  /** Says good-bye to the others and stops. Every task runs on. */
  close(): Promise<void>
}

/**
 * Starts a node: opens its folder, makes or joins a cluster if it has none, and
 * brings up gossip, liveness, the runtimes and DNS around one machine.
 *
 * @param onHalt Called when this node must not go on, with why and what to do in one line: close it.
 * @throws {Error} With one line that says what to do.
 */
export async function startNode(
  options: NodeOptions,
  log: Logger,
  onHalt: (reason: string) => void,
): Promise<Node> {
  await using stack = new AsyncDisposableStack()
  const folder = await openFolder(options, log)
  stack.defer(() => folder.store.close())

  const key = createNodeKey(folder.identity.seed)
  const verify = createVerify()
  const now = createSteadyClock(Date.now())
  const events = new EventLog()
  const guard = await openGuard({ options, folder, now, events, log })
  stack.defer(() => guard.close())
  const machine = new NodeMachine({
    self: key.node,
    incarnation: folder.identity.incarnation,
    clientId: folder.identity.clientId,
    fence: folder.identity.fence,
    recentStarts: folder.identity.recentStarts,
    facts: factsOf(options),
    // An engine that is not even installed is not waited for; should it come, it is used.
    engines: existsSync(options.docker) ? ['docker', 'process'] : ['process'],
    sign: bytes => key.sign(bytes),
    verify,
    random: Math.random,
    drawRun: () => randomBytes(12).toString('hex'),
    updates: folder.store.readUpdates(),
    orders: guard.orders,
    nowMs: now(),
  })
  mustBeAdmitted(machine, options.dataDir)
  const requests = new Requests()
  stack.defer(() => requests.close())

  // The parts know each other through the loop alone, which is there last.
  const parts: { loop?: Loop; liveness?: Liveness; runner?: TaskRunner } = {}
  const push: Loop['push'] = event => parts.loop?.push(event)
  const psk = Buffer.from(folder.cluster.psk, 'hex')

  const bind = bindAddress(options.advertise)
  const gossip = { what: 'gossip', address: bind, port: options.port, flag: '--port' }
  const transport = await explainListen(gossip, async () =>
    startLibp2pTransport({
      ...addressOptions(options, folder),
      psk,
      admitted: machine.admitted,
      log: line => log.info(line),
      listener: listen({
        push,
        connectionUp: node => parts.liveness?.connectionUp(node),
        connectionLost: node => parts.liveness?.connectionLost(node),
        refused: (node, reason) => {
          events.add({ timeMs: Date.now(), kind: 'refused', subject: node, text: reason })
          log.warn({ node }, reason)
        },
        turnedAway: (by, reason) => log.debug({ by, reason }, 'turned away'),
        onCall: createCallServices({
          cluster: folder.cluster,
          machine,
          requests,
          push,
          verify,
          log,
          logs: (task, logOptions) => localLogs(machine, parts.runner!, task, logOptions),
          liveness: async (from, datagram) =>
            (await parts.liveness?.takeStream(from, datagram)) ?? [],
        }),
      }),
    }),
  )
  stack.defer(() => transport.close())

  const liveness = await explainListen({ ...gossip, what: 'liveness' }, async () =>
    startLiveness({
      self: key.node,
      psk,
      bind: { address: bind, port: options.port },
      incarnation: folder.identity.incarnation,
      stream: createLivenessStream(transport),
      log: (message, error) => log.error(error === undefined ? {} : { err: error }, message),
    }),
  )
  parts.liveness = liveness
  stack.defer(() => liveness.close())
  liveness.onVerdict(verdict => {
    if (verdict.kind === 'alive') transport.redial(verdict.node)
    else if (verdict.kind !== 'suspect') transport.disconnect(verdict.node)
    push({ kind: 'verdict-came', verdict })
  })
  liveness.onReached((node, by) => {
    const text = describeReach(liveness.port, by)
    log.warn({ node }, text)
    events.add({ timeMs: Date.now(), kind: 'node', subject: nameOf(machine, node), text })
  })
  for (const node of transport.connected()) liveness.connectionUp(node)

  const gate = createAdmissionGate(transport, machine.admitted)
  stack.defer(() => gate.close())
  const dnsSync = new DnsSync(machine, {
    name: options.name,
    ttlSeconds: options.dnsTtlSeconds,
    mesos: mesosView(options),
  })
  const dns = await openDns(options, dnsSync.view, log)
  stack.defer(() => dns.close())
  const peers = new PeerSync({
    machine,
    transport,
    liveness,
    store: folder.store,
    log: (message, error) => log.warn({ err: error }, message),
  })

  const runner = startTaskRunner({
    runtimes: await openRuntimes({
      options,
      cluster: folder.cluster.cluster,
      node: key.node,
      dnsOf: containerDnsOf(options, dns, machine),
      log: message => log.info(message),
    }),
    node: { name: options.name, address: options.advertise },
    cluster: folder.cluster.cluster,
    push: event => push(event),
    log: (message, error) => log.warn({ err: error }, message),
    guarded: (task, slot) => guard.ready(task, slot),
  })
  parts.runner = runner
  stack.defer(() => runner.close())

  const sync = gather(SYNC_MS, () => {
    dns.apply(dnsSync.update())
    peers.update()
  })
  stack.defer(() => sync.close())
  const isNews = createNewsCheck(machine)
  let isHalted = false
  const loop = startLoop({
    machine,
    now,
    perform: createPerform({
      ...folder,
      dataDir: options.dataDir,
      machine,
      transport,
      requests,
      runner,
      events,
      log,
      push,
      guard: orders => guard.set(orders),
      onAdmitted: () => gate.set(machine.admitted),
      onHalt: reason => {
        isHalted = true
        onHalt(reason)
      },
    }),
    onSettled: () => {
      if (isNews()) sync.call()
    },
    onError: (error, event) =>
      log.error({ err: error, event: event.kind }, 'an event broke the machine'),
  })
  parts.loop = loop
  stack.defer(() => loop.close())
  push({
    kind: 'facts-changed',
    facts: { multiaddrs: transport.multiaddrs(), probePort: liveness.port, dnsPort: dns.port },
  })
  // Who connected while the other parts started told nobody.
  for (const node of transport.connected()) push({ kind: 'connected', node })
  peers.update()

  const stallWatch = startStallWatch(ms => {
    if (ms < STALL_TOLD_MS) return
    const text = `this daemon did not run for ${(ms / 1000).toFixed(1)} s: the machine is overloaded, or the daemon was stopped`
    log.warn({ ms: Math.round(ms) }, text)
    events.add({ timeMs: Date.now(), kind: 'node', subject: options.name, text })
  })
  stack.defer(() => stallWatch.close())

  const service = createService({
    cluster: folder.cluster.cluster,
    name: options.name,
    version: VERSION,
    startedAtMs: Date.now(),
    ports: { gossip: portOf(transport), probe: liveness.port, dns: dns.port },
    dns: {
      address: options.advertise,
      port: dns.port,
      domain: DOMAIN,
      mesosDomain: dnsSync.view.mesos?.domain,
      ttlSeconds: options.dnsTtlSeconds,
      zone: dnsSync.zone,
    },
    dataDir: options.dataDir,
    metrics: createMetrics({
      machine,
      dns,
      liveness,
      transport,
      stalls: () => stallWatch.stalls(),
    }),
    psk,
    key,
    machine,
    requests,
    events,
    transport,
    runner,
    push,
  })
  const trimming = startTrimmingHeap()
  stack.defer(() => trimming.close())
  const owned = stack.move()
  return {
    service,
    close: async () => {
      // The good-bye would be in the name of the machine that goes on.
      if (!isHalted) await liveness.leave()
      await owned.disposeAsync()
    },
  }
}

/**
 * A folder that was copied without its key, or whose node was removed while it was down, would be
 * refused by everybody and run alone: better to say so. An empty document is none that tells.
 *
 * @throws {JoinError} With what to do.
 */
function mustBeAdmitted({ admitted, self }: NodeMachine, dataDir: string): void {
  if (admitted.size === 0 || admitted.has(self)) return
  throw new JoinError(
    `this node (${self}) is not admitted to the cluster in ${dataDir}: it was removed, or the folder is a copy of another node's; move ${CLUSTER_FILE} and ${DATABASE_FILE}* away and start with --join TOKEN`,
  )
}

function factsOf(options: NodeOptions): NodeFacts {
  return {
    name: options.name,
    address: options.advertise,
    ...(options.advertiseAlso.length > 0 && { addresses: options.advertiseAlso }),
    multiaddrs: [],
    probePort: 0,
    dnsPort: 0,
    labels: options.labels,
    runtimes: { docker: false, process: false },
    capacity: machineCapacity(options.dataDir),
    version: VERSION,
  }
}

function mesosView({ mesosDomain, mesosLabels, apiPort }: NodeOptions): MesosView | undefined {
  return mesosDomain === 'none' ? undefined : { domain: mesosDomain, rule: mesosLabels, apiPort }
}

function addressOptions(
  options: NodeOptions,
  { identity, cluster }: OpenFolder,
): Pick<
  Parameters<typeof startLibp2pTransport>[0],
  'cluster' | 'seed' | 'listen' | 'advertise' | 'discovery'
> {
  return {
    cluster: cluster.cluster,
    seed: identity.seed,
    listen: { address: bindAddress(options.advertise), port: options.port },
    advertise: options.advertise,
    discovery: { mdns: options.mdns, ...(options.dht && { dht: options.dht }) },
  }
}

/** Turns what the transport tells into events of the machine. */
function listen(parts: {
  readonly push: Loop['push']
  readonly connectionUp: (node: NodeId) => void
  readonly connectionLost: (node: NodeId) => void
  readonly refused: (node: NodeId, reason: string) => void
  readonly turnedAway: (by: NodeId, reason: string) => void
  readonly onCall: TransportListener['onCall']
}): TransportListener {
  const { push, refused } = parts
  const receive = (from: NodeId, bytes: Uint8Array): void => {
    const parsed = parseMessage(bytes)
    if (parsed.ok) push({ kind: 'received', from, message: parsed.message })
    else push({ kind: 'message-refused', from, fault: parsed.fault, reason: parsed.reason })
  }
  return {
    onPublished: (_topic, from, bytes) => receive(from, bytes),
    onSent: receive,
    onConnected: node => {
      parts.connectionUp(node)
      push({ kind: 'connected', node })
    },
    onDisconnected: node => {
      parts.connectionLost(node)
      push({ kind: 'disconnected', node })
    },
    onRefused: refused,
    // For a moment after joining this is how it is.
    onTurnedAway: parts.turnedAway,
    onCall: parts.onCall,
  }
}

/** What an operator is told of a node that UDP does not reach, or reaches again. */
function describeReach(port: number, by: 'stream' | 'datagram'): string {
  return by === 'stream'
    ? `does not answer UDP, and answers over TCP: it is watched by TCP alone, which sees failures later; open UDP port ${port} between the two nodes, both ways`
    : 'answers UDP again'
}

function nameOf(machine: NodeMachine, node: NodeId): string {
  return machine.book.get(node)?.name ?? node
}

function portOf(transport: Transport): number {
  const [, port] = /\/tcp\/(\d+)/.exec(transport.multiaddrs()[0] ?? '') ?? []
  return Number(port ?? 0)
}

/** Calls `work` once for any number of calls within `ms`. */
function gather(ms: number, work: () => void): { call(): void; close(): void } {
  let timer: NodeJS.Timeout | undefined
  return {
    call: () => {
      timer ??= setTimeout(() => {
        timer = undefined
        work()
      }, ms)
    },
    close: () => clearTimeout(timer),
  }
}
