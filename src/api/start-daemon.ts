import type { Logger } from 'pino'
import { forgetCluster, putClusterAside, putClusterBack } from '../node/forget-cluster.ts'
import { initCluster as makeCluster } from '../node/open-cluster.ts'
import { bindAddress, nodeOptions, type NodeChoices, type NodeOptions } from '../node/options.ts'
import { startNode, type Node } from '../node/start-node.ts'
import { ApiError } from './errors.ts'
import type { Daemon } from './routes.ts'
import { startApi } from './start-api.ts'
import { startDiscovery } from './start-discovery.ts'

/** A daemon: a node with its API. */
export interface RunningDaemon {
  readonly options: NodeOptions
  readonly cluster: string
  readonly name: string
  readonly ports: {
    readonly api: number
    readonly gossip: number
    readonly probe: number
    readonly dns: number
  }
  /** Resolves when the daemon has ended: in order, or with why it could not go on. */
  readonly ended: Promise<Ended>
  /** Says good-bye to the others and stops. Every task runs on. */
  close(): Promise<void>
}

/** How a daemon ended. */
export interface Ended {
  /** Why it could not go on, in one line; nothing when it ended in order. */
  readonly broken?: Error
}

interface Open {
  readonly node: Node
  /** The API, and discovery where it is wanted. */
  readonly servers: readonly { close(): Promise<void> }[]
  readonly apiPort: number
}

/**
 * Starts a daemon: `shoal up`.
 *
 * @throws {Error} With one line that says what to do.
 */
export async function startDaemon(choices: NodeChoices, log: Logger): Promise<RunningDaemon> {
  const options = nodeOptions(choices)
  const { promise: ended, resolve: end } = Promise.withResolvers<Ended>()
  let hasLeft = false
  let broken: Error | undefined
  let closing: Promise<void> | undefined

  const daemon: Daemon = {
    leave: async () => {
      await leave(current.node)
      hasLeft = true
    },
    join: async token => {
      const cluster = checkJoin(current.node, token)
      // After the answer is out: the API goes down with the old cluster.
      setImmediate(() => void rejoin(token))
      return { cluster }
    },
    stop: () => void close(),
  }
  let current = await open(options)

  async function open(opened: NodeOptions): Promise<Open> {
    const node = await startNode(opened, log, reason => {
      log.fatal(reason)
      broken = new Error(reason)
      void close()
    })
    const servers: { close(): Promise<void> }[] = []
    try {
      const { service } = node
      const api = await startApi({ service, daemon, port: opened.apiPort, log })
      servers.push(api)
      if (opened.discoveryPort !== undefined) {
        const address = bindAddress(opened.advertise)
        servers.push(await startDiscovery({ service, address, port: opened.discoveryPort }))
      }
      return { node, servers, apiPort: api.port }
    } catch (error) {
      await closeAll(servers)
      await node.close()
      throw error
    }
  }

  async function rejoin(token: string): Promise<void> {
    try {
      await closeAll(current.servers)
      await current.node.close()
      await putClusterAside(options.dataDir)
      try {
        current = await open({ ...options, join: token })
      } catch (error) {
        log.error({ err: error }, 'joining failed: this node goes back to the cluster that it had')
        await putClusterBack(options.dataDir)
        current = await open({ ...options, join: undefined })
      }
    } catch (error) {
      log.fatal({ err: error }, 'the daemon cannot go on')
      end({ broken: error instanceof Error ? error : new Error(String(error)) })
    }
  }

  async function close(): Promise<void> {
    closing ??= (async () => {
      await closeAll(current.servers)
      await current.node.close()
      if (hasLeft) await forgetCluster(options.dataDir)
      end(broken === undefined ? {} : { broken })
    })()
    await closing
  }

  const { service } = current.node
  return {
    options,
    cluster: service.cluster,
    name: service.name,
    ports: { api: current.apiPort, ...service.ports },
    ended,
    close,
  }
}

async function closeAll(servers: Open['servers']): Promise<void> {
  await Promise.all(servers.map(async server => await server.close()))
}

/** Hands the tasks over, and takes this node off the list of the admitted. */
async function leave({ service }: Node): Promise<void> {
  const left = await service.leave()
  if (!left.ok) throw new ApiError(409, left.reason)
  if (service.nodes().length < 2) return
  const expelled = await service.edit({ kind: 'expel', node: service.self })
  if (!expelled.ok) throw new ApiError(409, expelled.reason)
  if (expelled.onlyHere) {
    throw new ApiError(
      503,
      'no other node confirmed that this one leaves: its tasks are stopped; try again when another node is in reach',
    )
  }
}

/** Only a node that would lose nothing may change its cluster. Gives the id of the new one. */
function checkJoin({ service }: Node, token: string): string {
  const others = service.nodes().length - 1
  const apps = service.desired().apps.size
  if (others > 0 || apps > 0) {
    throw new ApiError(
      409,
      `this node is in a cluster with ${others} other nodes and ${apps} apps already: run \`shoal leave\` first`,
    )
  }
  const parsed = service.parseToken(token)
  if (!parsed.ok) throw new ApiError(400, parsed.reason)
  return parsed.cluster
}

/** Makes a cluster in a data folder without starting a daemon: `shoal init`. */
export async function initCluster(
  choices: NodeChoices,
  log: Logger,
): Promise<{ readonly cluster: string; readonly isNew: boolean }> {
  return await makeCluster(nodeOptions(choices), log)
}

/** What a person may choose about a node. */
export type { NodeChoices }
