import type { ContainerCreateOptions, ContainerInfo, HostConfig } from 'dockerode'
import { z } from 'zod'
import { toMs } from '../model/duration.ts'
import { appOfSlot, type RevisionId, type SlotId, type TaskId } from '../model/ids.ts'
import { workDigest } from '../util/work-digest.ts'
import { LABELS } from './labels.ts'
import type { FoundTask, Launch } from './runtime.ts'

/** Docker gives nobody a weight below this. */
const CPU_SHARES_MIN = 2
const MB_BYTES = 1024 * 1024
/** What a task ended with when the engine does not know: as if by signal 9. */
const KILLED = 137

const taskPorts = z.array(
  z.strictObject({
    name: z.string(),
    protocol: z.enum(['tcp', 'udp']),
    containerPort: z.int(),
    hostPort: z.int(),
  }),
)
const isText = (value: unknown): boolean => typeof value === 'string' && value !== ''
const taskLabels = z.object({
  [LABELS.task]: z.custom<TaskId>(isText),
  [LABELS.slot]: z.custom<SlotId>(isText),
  [LABELS.revision]: z.custom<RevisionId>(isText),
  [LABELS.work]: z.string().default(''),
  [LABELS.ports]: z.string().default('[]').transform(parseJson).pipe(taskPorts),
})

/** Whose task a container is: an engine may serve several daemons, and several clusters. */
export interface ContainerOwner {
  readonly cluster: string
  readonly node: string
}

/** Whom a container asks about names. */
export interface ContainerDns {
  /** IP addresses, the first one first. A resolver reads three at most. */
  readonly servers: readonly string[]
  /** The domains that a bare name is looked for in. */
  readonly search: readonly string[]
}

/** A resolver that waits five seconds for a server that is down is taken for a broken app. */
const DNS_OPTIONS = ['timeout:1', 'attempts:3']

/**
 * What to ask the Docker engine for, so that `launch` runs as a task of `owner`.
 *
 * - `resources.cpus` is a weight (1024 shares for each), `limits` are hard: a task may
 *   use what its neighbours leave idle.
 * - A `command` that is a string replaces the image's entrypoint with `/bin/sh -c`, as
 *   Marathon's `cmd` does, unless the app names an entrypoint too; a list is given to
 *   the entrypoint.
 * - A volume source that is a path must exist on the node: making an empty folder in
 *   its place, as `docker run -v` does, would hide a missing disk.
 * - In a bridge network names are asked of `dns`, if there is one.
 * - Never a restart policy: after a reboot the daemon decides first what should run.
 * - The log keeps the last 20 MB.
 */
export function containerOptions(
  launch: Launch,
  owner: ContainerOwner,
  dns?: ContainerDns,
): ContainerCreateOptions {
  const { task, slot, revision, spec, ports, env } = launch
  const shell = typeof spec.command === 'string' ? ['/bin/sh', '-c'] : undefined
  const entrypoint = spec.entrypoint ?? shell
  const command =
    typeof spec.command === 'string'
      ? [...(spec.entrypoint === undefined ? [] : (shell ?? [])), spec.command]
      : spec.command
  return {
    name: containerName(task),
    Image: spec.image ?? '',
    ...(entrypoint === undefined ? {} : { Entrypoint: [...entrypoint] }),
    ...(command === undefined ? {} : { Cmd: [...command] }),
    ...(spec.user === undefined ? {} : { User: spec.user }),
    ...(spec.workdir === undefined ? {} : { WorkingDir: spec.workdir }),
    Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    Labels: {
      ...spec.labels,
      [LABELS.cluster]: owner.cluster,
      [LABELS.node]: owner.node,
      [LABELS.app]: appOfSlot(slot),
      [LABELS.slot]: slot,
      [LABELS.revision]: revision,
      [LABELS.work]: workDigest(spec),
      [LABELS.task]: task,
      [LABELS.ports]: JSON.stringify(ports),
    },
    Tty: spec.tty,
    // The engine's own grace, for a stop by anybody else than us.
    StopTimeout: Math.ceil(toMs(spec.stopGrace) / 1000),
    ExposedPorts: Object.fromEntries(bridged(launch).map(port => [portKey(port), {}])),
    HostConfig: hostConfig(launch, dns),
  }
}

/**
 * The name that people see: `shoal-web.2-k3f9x1`. Readable, but not certainly alone
 * (`/a/b` and `/a-b` read the same): what counts is the label.
 */
export function containerName(task: TaskId): string {
  return `shoal-${task.slice(1).replaceAll(/[^\w.-]/g, '-')}`
}

/** Reads a task out of the engine's list; nothing for a container whose labels are not ours or not whole. */
export function parseContainer({
  Labels: labels,
  State: state,
  Status: status,
  Created: createdS,
}: Pick<ContainerInfo, 'Labels' | 'State' | 'Status' | 'Created'>): FoundTask | undefined {
  const { data: known } = taskLabels.safeParse(labels)
  if (known === undefined) return undefined
  // Paused is running for us: a person paused it, and a person will go on with it.
  const running = state === 'running' || state === 'paused' || state === 'restarting'
  // `Exited (3) 5 minutes ago`. One that was created and never started, by a daemon that died, has none.
  const exitCode = Number(/^Exited \((\d+)\)/.exec(status)?.[1] ?? KILLED)
  return {
    task: known[LABELS.task],
    slot: known[LABELS.slot],
    revision: known[LABELS.revision],
    work: known[LABELS.work],
    ports: known[LABELS.ports],
    startedAtMs: createdS * 1000,
    running,
    ...(running ? {} : { exitCode }),
  }
}

function hostConfig(launch: Launch, dns: ContainerDns | undefined): HostConfig {
  const { resources, limits, network, volumes, privileged } = launch.spec
  const shares = Math.max(CPU_SHARES_MIN, Math.round(resources.cpus * 1024))
  return {
    CpuShares: shares,
    ...(limits.cpus === undefined ? {} : { NanoCpus: Math.round(limits.cpus * 1e9) }),
    ...(limits.memMb === undefined ? {} : { Memory: limits.memMb * MB_BYTES }),
    ...(resources.gpus === 0
      ? {}
      : { DeviceRequests: [{ Driver: '', Count: resources.gpus, Capabilities: [['gpu']] }] }),
    NetworkMode: network,
    PortBindings: portBindings(launch),
    // With host networking a task reads the node's own resolv.conf, whatever is said here.
    ...(dns === undefined || network !== 'bridge'
      ? {}
      : { Dns: [...dns.servers], DnsSearch: [...dns.search], DnsOptions: DNS_OPTIONS }),
    Mounts: volumes.map(({ source, target, readOnly }) => ({
      Type: source.startsWith('/') ? ('bind' as const) : ('volume' as const),
      Source: source,
      Target: target,
      ReadOnly: readOnly,
    })),
    Privileged: privileged,
    RestartPolicy: { Name: 'no' },
    LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '2' } },
  }
}

function portBindings(launch: Launch): Record<string, { HostPort: string }[]> {
  const bindings: Record<string, { HostPort: string }[]> = {}
  for (const port of bridged(launch)) {
    ;(bindings[portKey(port)] ??= []).push({ HostPort: String(port.hostPort) })
  }
  return bindings
}

/** The ports that the engine forwards: with host networking the task listens on the node itself. */
function bridged({ spec, ports }: Launch): Launch['ports'] {
  return spec.network === 'bridge' ? ports : []
}

function portKey({ containerPort, protocol }: Launch['ports'][number]): string {
  return `${containerPort}/${protocol}`
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // Somebody else wrote this label; the schema says so.
  }
}
