import type { Fields } from './fields.ts'
import { show } from './finding.ts'
import { readProbes, readQuantity, type ContainerPort } from './kubernetes-probe.ts'
import { QUANTITY_RULE } from './quantity.ts'

const MIB = 2 ** 20

/** Reads a pod's one container into the draft. Gives its ports, in the order of the app's. */
export function readContainer(container: Fields, network: 'host' | 'bridge'): ContainerPort[] {
  const { draft } = container
  container.carry('name')
  const image = container.text('image')
  if (image === undefined && container.get('image') === undefined) {
    draft.error(container.at('image'), 'is missing: must be text')
  }
  draft.put(['image'], image ?? 'missing', container.at('image'))
  readPullPolicy(container)
  const env = readEnv(container)
  const command = container.texts('command')
  const args = container.texts('args')
  const expanded = (texts: string[]): string[] => texts.map(text => expand(text, env))
  if (command?.length) draft.put(['entrypoint'], expanded(command), container.at('command'))
  if (args?.length) draft.put(['command'], expanded(args), container.at('args'))
  const workdir = container.text('workingDir')
  if (workdir !== undefined) draft.put(['workdir'], workdir, container.at('workingDir'))
  draft.put(['tty'], container.flag('tty') ?? false, container.at('tty'))
  readResources(container)
  const ports = readPorts(container, network)
  readProbes(container, port => {
    if (typeof port === 'string' && !/^\d+$/.test(port)) {
      const index = ports.findIndex(({ name }) => name === port)
      return index < 0 ? undefined : index
    }
    return indexOfPort(container, ports, Number(port), 'tcp', network)
  })
  container.carry('lifecycle', 'the hooks are not run')
  container.carry('stdin', 'the container gets no input')
  container.carry('stdinOnce')
  container.carry('terminationMessagePath')
  container.carry('terminationMessagePolicy')
  return ports
}

/** The index of a port of the app, which is added where the container did not declare it: declaring is optional in Kubernetes. */
export function indexOfPort(
  container: Fields,
  ports: ContainerPort[],
  port: number,
  protocol: 'tcp' | 'udp',
  network: 'host' | 'bridge',
): number | undefined {
  const index = ports.findIndex(own => own.port === port && own.protocol === protocol)
  if (index >= 0) return index
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return undefined
  ports.push({ name: undefined, port, protocol })
  const hostPort = network === 'host' ? port : 0
  const at = ['ports', ports.length - 1]
  container.draft.put(at, { port, hostPort, protocol }, container.at('ports'))
  return ports.length - 1
}

function readPullPolicy(container: Fields): void {
  const policy = container.text('imagePullPolicy')
  const { draft } = container
  // Kubernetes pulls `:latest` always unless told otherwise. We do not: an image that was
  // built on the node itself, as in every first tutorial, would never start.
  draft.put(['forcePull'], policy === 'Always', container.at('imagePullPolicy'))
  if (policy === undefined || policy === 'Always') return
  if (policy !== 'Never' && policy !== 'IfNotPresent') {
    const rule = 'must be "Always", "IfNotPresent" or "Never"'
    draft.error(container.at('imagePullPolicy'), `${rule}, got ${show(policy)}`)
  }
  container.carry(
    'imagePullPolicy',
    policy === 'Never' ? 'an image that the node does not have is pulled all the same' : undefined,
  )
}

function readEnv(container: Fields): Map<string, string> {
  const { draft } = container
  const env = new Map<string, string>()
  draft.put(['env'], {}, container.at('env'))
  for (const variable of container.maps('env') ?? []) {
    const name = variable.text('name')
    const value = variable.text('value') ?? ''
    if (variable.get('valueFrom') !== undefined) {
      draft.error(
        variable.at('valueFrom'),
        'is not supported, and the task would run without the variable: write its value',
      )
    }
    if (name === undefined) draft.error(variable.at('name'), 'must be text, got nothing')
    else {
      const path = variable.get('value') === undefined ? variable.path : variable.at('value')
      env.set(name, expand(value, env))
      draft.put(['env', name], env.get(name), path)
    }
    variable.rest()
  }
  if (container.list('envFrom')?.length) {
    draft.error(
      container.at('envFrom'),
      'is not supported, and the task would run without the variables: write them under env',
    )
  }
  return env
}

/** Replaces `$(NAME)` by the variable, as Kubernetes does; `$$` stands for `$`, and unknown names stay. */
function expand(text: string, env: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\$\$|\$\(([^()]*)\)/g, (whole, name: string | undefined) =>
    name === undefined ? '$' : (env.get(name) ?? whole),
  )
}

function readPorts(container: Fields, network: 'host' | 'bridge'): ContainerPort[] {
  const { draft } = container
  const ports: ContainerPort[] = []
  draft.put(['ports'], [], container.at('ports'))
  for (const entry of container.maps('ports') ?? []) {
    const port = entry.integer('containerPort') ?? 0
    const given = entry.integer('hostPort') ?? 0
    const name = entry.text('name')
    const protocol = entry.text('protocol') ?? 'TCP'
    entry.carry('hostIP', 'the port is opened on every address of the node')
    entry.rest()
    if (protocol !== 'TCP' && protocol !== 'UDP') {
      draft.error(entry.at('protocol'), `must be "TCP" or "UDP", got ${show(protocol)}`)
    }
    if (port < 1) {
      draft.error(entry.at('containerPort'), `must be a port from 1 to 65535, got ${port}`)
    }
    const at = ['ports', ports.length]
    const own = protocol === 'UDP' ? 'udp' : 'tcp'
    draft.put(at, { protocol: own }, entry.path)
    draft.put([...at, 'port'], port, entry.at('containerPort'))
    const hostPort = network === 'host' ? port : given
    draft.put([...at, 'hostPort'], hostPort, entry.at(given > 0 ? 'hostPort' : 'containerPort'))
    if (name !== undefined) draft.put([...at, 'name'], name, entry.at('name'))
    ports.push({ name, port, protocol: own })
  }
  return ports
}

/** Requests are held back, limits are hard. As in Kubernetes, a limit without a request is both. */
function readResources(container: Fields): void {
  const { draft } = container
  const resources = container.map('resources')
  const requests = resources?.map('requests')
  const limits = resources?.map('limits')
  const kinds = [
    { key: 'cpu', target: 'cpus', limited: true, round: (amount: number) => amount },
    { key: 'memory', target: 'memMb', limited: true, round: toMib },
    { key: 'ephemeral-storage', target: 'diskMb', limited: false, round: toMib },
    { key: 'nvidia.com/gpu', target: 'gpus', limited: false, round: Math.ceil },
  ]
  for (const { key, target, limited, round } of kinds) {
    const limit = limits && readQuantity(limits, key, QUANTITY_RULE)
    const request = (requests && readQuantity(requests, key, QUANTITY_RULE)) ?? limit
    const requestPath = requests?.get(key) === undefined ? limits?.at(key) : requests.at(key)
    if (request !== undefined) {
      draft.put(['resources', target], round(request), requestPath ?? container.path)
    }
    if (limit === undefined) continue
    if (limited) draft.put(['limits', target], round(limit), limits!.at(key))
    else limits!.carry(key, 'is held back, but not enforced as a limit')
  }
  requests?.rest()
  limits?.rest()
  resources?.rest()
}

function toMib(bytes: number): number {
  return Math.ceil(bytes / MIB)
}
