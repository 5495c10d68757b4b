import { fromMs } from '../model/duration.ts'
import type { CheckedApp } from './check-app.ts'
import { createDraft, type Draft } from './draft.ts'
import { Fields, isMap } from './fields.ts'
import { show } from './finding.ts'
import { readContainer } from './kubernetes-container.ts'
import type { ContainerPort } from './kubernetes-probe.ts'
import { readSecurity } from './kubernetes-security.ts'
import { readVolumes } from './kubernetes-volumes.ts'
import type { Path } from './path.ts'

/** A Deployment that has been read, still open for the Services in front of it. */
export interface Deployment {
  readonly namespace: string
  readonly name: string
  readonly podLabels: Readonly<Record<string, string>>
  readonly network: 'host' | 'bridge'
  readonly container: Fields | undefined
  readonly ports: ContainerPort[]
  readonly aliases: string[]
  readonly draft: Draft
  /** Checks the app, when all Services have been given to it. */
  finish(): CheckedApp
}

/** What the server writes into metadata. */
const SERVER_METADATA = [
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'managedFields',
  'selfLink',
]

/** Fields of a pod that Shoal does not act on, with what follows. */
const POD_CONSEQUENCES: Readonly<Record<string, string | undefined>> = {
  affinity: 'is not applied: write constraints; slots go to different nodes anyway',
  tolerations: 'nodes have no taints: constraints decide',
  topologySpreadConstraints: 'is not applied: slots go to different nodes, then zones, anyway',
  imagePullSecrets: 'the image is pulled with the Docker login of the node',
  serviceAccountName: 'the task gets no account',
  serviceAccount: 'the task gets no account',
  automountServiceAccountToken: undefined,
  dnsPolicy: 'the container asks the DNS server of its node, or those of Docker',
  dnsConfig: 'the container asks the DNS server of its node, or those of Docker',
  enableServiceLinks: undefined,
  hostAliases: 'the names are not put into the container’s hosts file',
  hostname: 'the container’s hostname is Docker’s',
  subdomain: 'the container’s hostname is Docker’s',
  hostPID: 'the container sees its own processes only',
  hostIPC: 'the container has its own IPC',
  shareProcessNamespace: undefined,
  priorityClassName: 'all apps have the same priority',
  schedulerName: undefined,
  activeDeadlineSeconds: 'the task may run for ever',
  readinessGates: 'only the probes decide',
  runtimeClassName: 'Docker’s own runtime is used',
}

/**
 * Reads an `apps/v1` Deployment. The app is `/NAME` in the namespace `default`, else
 * `/NAMESPACE/NAME`. What the app schema has no place for is carried and named.
 *
 * @param path Where in the document it stands.
 */
export function readDeployment(
  value: Readonly<Record<string, unknown>>,
  document: unknown,
  path: Path,
): Deployment {
  const draft = createDraft('kubernetes', document, path)
  const top = new Fields(value, path, draft)
  top.get('kind')
  if (top.text('apiVersion') !== 'apps/v1') {
    draft.error(top.at('apiVersion'), `must be "apps/v1", got ${show(top.get('apiVersion'))}`)
  }
  const metadata = readMetadata(top)
  const { namespace, name } = metadata
  draft.put(['id'], namespace === 'default' ? `/${name}` : `/${namespace}/${name}`, [
    ...path,
    'metadata',
    'name',
  ])

  const spec = requiredMap(top, 'spec')
  const template = spec && requiredMap(spec, 'template')
  const podMetadata = template?.map('metadata')
  const podLabels = podMetadata?.labels('labels') ?? {}
  draft.put(['labels'], { ...metadata.labels, ...podLabels }, [...path, 'metadata', 'labels'])
  podMetadata?.carry('annotations', 'nothing in Shoal reads annotations')
  podMetadata?.carry('name')
  podMetadata?.carry('creationTimestamp')
  podMetadata?.rest()
  if (spec !== undefined) readSpec(spec, podLabels)
  const pod = template && requiredMap(template, 'spec')
  template?.rest()
  const network = pod?.flag('hostNetwork') === true ? 'host' : 'bridge'
  draft.put(['network'], network, pod?.at('hostNetwork') ?? path)
  const container = pod && readPod(pod)
  const ports = container === undefined ? [] : readContainer(container, network)
  if (container !== undefined) {
    readVolumes(pod!, container)
    readSecurity(pod!, container)
    container.rest()
  } else draft.put(['image'], 'missing', path)
  pod?.rest()
  top.rest(['metadata', 'spec'])

  const aliases: string[] = []
  return {
    namespace,
    name,
    podLabels,
    network,
    container,
    ports,
    aliases,
    draft,
    finish: () => draft.finish(),
  }
}

/** Reads `metadata`, of a Deployment or a Service. */
export function readMetadata(top: Fields): {
  readonly namespace: string
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
} {
  const metadata = requiredMap(top, 'metadata')
  const name = metadata?.text('name')
  if (metadata !== undefined && metadata.get('name') === undefined) {
    top.draft.error(metadata.at('name'), 'is missing: must be text')
  }
  const namespace = metadata?.text('namespace') ?? 'default'
  const labels = metadata?.labels('labels') ?? {}
  const server = [
    ...SERVER_METADATA.filter(key => metadata?.get(key) !== undefined),
    ...(top.get('status') === undefined ? [] : ['status']),
  ]
  if (server.length > 0) {
    top.draft.warn(top.at('metadata'), `left out what the server wrote: ${server.join(', ')}`)
  }
  metadata?.carry('annotations', 'nothing in Shoal reads annotations')
  metadata?.rest()
  return { namespace, name: name ?? 'unnamed', labels }
}

/** A map that must be there. */
export function requiredMap(fields: Fields, key: string): Fields | undefined {
  const map = fields.map(key)
  if (map === undefined && fields.get(key) === undefined) {
    fields.draft.error(fields.at(key), 'is missing: must be a map')
  }
  return map
}

function readSpec(spec: Fields, podLabels: Readonly<Record<string, string>>): void {
  const { draft } = spec
  draft.put(['instances'], spec.integer('replicas') ?? 1, spec.at('replicas'))
  const selector = requiredMap(spec, 'selector')
  const wanted = selector?.labels('matchLabels') ?? {}
  for (const [key, value] of Object.entries(wanted)) {
    if (podLabels[key] === value) continue
    const path = [...spec.at('selector'), 'matchLabels', key]
    draft.error(path, `must equal the label in spec.template.metadata.labels, got ${show(value)}`)
  }
  selector?.carry('matchExpressions', 'is not needed: an app owns its tasks by its id')
  selector?.rest()
  const monitor = spec.seconds('minReadySeconds')
  if (monitor !== undefined) draft.put(['update', 'monitor'], monitor, spec.at('minReadySeconds'))
  readStrategy(spec)
  spec.carry('progressDeadlineSeconds', 'a rollout that does not get on waits')
  spec.carry('revisionHistoryLimit', 'Shoal decides how many revisions are kept')
  spec.carry('paused', spec.get('paused') === false ? undefined : 'the app is rolled out at once')
  spec.rest(['replicas', 'selector', 'strategy', 'template'])
}

/** Surge means that new tasks start first; without it, old ones stop first. */
function readStrategy(spec: Fields): void {
  const { draft } = spec
  const strategy = spec.map('strategy')
  const type = strategy?.text('type') ?? 'RollingUpdate'
  if (type !== 'RollingUpdate' && type !== 'Recreate') {
    const path = strategy!.at('type')
    draft.error(path, `must be "RollingUpdate" or "Recreate", got ${show(type)}`)
  }
  const rolling = strategy?.map('rollingUpdate')
  const replicas = Number(draft.at(['instances']))
  const count = (key: string, round: (share: number) => number): number => {
    const value = rolling?.get(key) ?? '25%'
    const percent = typeof value === 'string' ? /^(\d{1,3})%$/.exec(value)?.[1] : undefined
    if (percent !== undefined) return round((replicas * Number(percent)) / 100)
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value
    draft.error(rolling!.at(key), `must be a count or a percentage, got ${show(value)}`)
    return 1
  }
  const surge = count('maxSurge', Math.ceil)
  const unavailable = count('maxUnavailable', Math.floor)
  if (surge + unavailable === 0 && replicas > 0 && type === 'RollingUpdate') {
    draft.error(rolling!.path, 'must let maxSurge or maxUnavailable be above 0')
  }
  rolling?.rest()
  strategy?.rest()
  const recreate = type === 'Recreate'
  const source = spec.at('strategy')
  const atOnce = recreate ? replicas : surge || unavailable
  draft.put(['update', 'order'], !recreate && surge > 0 ? 'start-first' : 'stop-first', source)
  draft.put(['update', 'parallelism'], Math.max(1, Math.min(atOnce, 10_000)), source)
}

/** Reads what is the pod's own, and gives its one container. */
function readPod(pod: Fields): Fields | undefined {
  const { draft } = pod
  const containers = pod.maps('containers') ?? []
  if (containers.length !== 1) {
    const rule = 'must be exactly one container: Shoal runs one to a task'
    draft.error(pod.at('containers'), `${rule}, got ${containers.length}`)
  }
  if (pod.list('initContainers')?.length) {
    draft.error(pod.at('initContainers'), 'is not supported: do its work in the container itself')
  }
  const restart = pod.text('restartPolicy') ?? 'Always'
  if (restart !== 'Always') {
    draft.error(pod.at('restartPolicy'), `must be "Always" in a Deployment, got ${show(restart)}`)
  }
  const grace = pod.seconds('terminationGracePeriodSeconds') ?? fromMs(30_000)
  draft.put(['stopGrace'], grace, pod.at('terminationGracePeriodSeconds'))
  readNodeSelector(pod)
  for (const [key, consequence] of Object.entries(POD_CONSEQUENCES)) {
    const value = pod.get(key)
    const empty = value === false || (isMap(value) && Object.keys(value).length === 0)
    pod.carry(key, empty ? undefined : consequence)
  }
  return containers[0]
}

/** Labels that Kubernetes gives its nodes, and what they are here. A map, because keys are the user's. */
const NODE_FIELDS: ReadonlyMap<string, string> = new Map([
  ['kubernetes.io/hostname', '@hostname'],
  ['topology.kubernetes.io/zone', '@zone'],
  ['topology.kubernetes.io/region', '@region'],
])

function readNodeSelector(pod: Fields): void {
  const { draft } = pod
  const selector = pod.labels('nodeSelector') ?? {}
  let count = 0
  const nodeName = pod.text('nodeName')
  if (nodeName !== undefined) selector['kubernetes.io/hostname'] = nodeName
  for (const [key, value] of Object.entries(selector)) {
    const path = [...pod.at('nodeSelector'), key]
    if (key === 'kubernetes.io/os' && value === 'linux') {
      draft.carry(path, value) // Every node of Shoal is one.
      continue
    }
    const field = NODE_FIELDS.get(key) ?? key
    draft.put(['constraints', count++], { field, operator: 'IS', value }, path)
  }
}
