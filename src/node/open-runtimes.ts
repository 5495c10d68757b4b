import { join } from 'node:path'
import type { NodeId } from '../model/ids.ts'
import { startProcessRuntime } from '../runtime/process-runtime.ts'
import type { containerDnsOf } from './container-dns.ts'
import { bindAddress, type NodeOptions } from './options.ts'
import type { TaskRunnerOptions } from './task-runner.ts'

/** What the runtimes of a node are opened for. */
export interface OpenRuntimesOptions {
  readonly options: Pick<NodeOptions, 'advertise' | 'dataDir' | 'docker'>
  readonly cluster: string
  readonly node: NodeId
  /** Whom containers ask about names. */
  readonly dnsOf: ReturnType<typeof containerDnsOf>
  readonly log: (message: string) => void
}

/** Opens what runs tasks here: plain processes, and Docker unless the options say `none`, whether its engine answers now or not. */
export async function openRuntimes({
  options,
  cluster,
  node,
  dnsOf,
  log,
}: OpenRuntimesOptions): Promise<TaskRunnerOptions['runtimes']> {
  const processes = await startProcessRuntime({
    dir: join(options.dataDir, 'processes'),
    cluster,
    address: bindAddress(options.advertise),
    log,
  })
  if (options.docker === 'none') return { process: processes }
  // A heavy package, which a node without Docker does without.
  const { startDockerRuntime } = await import('../runtime/docker-runtime.ts')
  const docker = await startDockerRuntime({
    socketPath: options.docker,
    cluster,
    node,
    dnsOf,
    log,
  })
  return { docker, process: processes }
}
