import { ALIASES_MAX, DNS_LABEL_RULE, isDnsLabel } from '../model/app.ts'
import { createDraft, type Draft } from './draft.ts'
import { Fields } from './fields.ts'
import { show } from './finding.ts'
import { indexOfPort } from './kubernetes-container.ts'
import { readMetadata, requiredMap, type Deployment } from './kubernetes.ts'
import type { Path } from './path.ts'

/** Fields of a Service that need no word of their own: read, or of no consequence. */
const KNOWN = new Set(['type', 'ports', 'selector', 'clusterIP', 'clusterIPs', 'ipFamilies'])

/**
 * Reads a `v1` Service and gives what it says to the Deployments that it selects: its
 * name, as one more name in DNS, and the names of its ports. Nothing listens at a
 * Service's own port: clients find the real ports by DNS, and a warning says so.
 *
 * @returns What was found about the Service itself.
 */
export function applyService(
  value: Readonly<Record<string, unknown>>,
  document: unknown,
  path: Path,
  deployments: readonly Deployment[],
): Draft {
  const draft = createDraft('kubernetes', document, path)
  const top = new Fields(value, path, draft)
  top.get('kind')
  if (top.text('apiVersion') !== 'v1') {
    draft.error(top.at('apiVersion'), `must be "v1", got ${show(top.get('apiVersion'))}`)
  }
  const { namespace, name } = readMetadata(top)
  const spec = requiredMap(top, 'spec')
  top.rest(['metadata', 'spec'])
  if (spec === undefined) return draft

  const type = spec.text('type') ?? 'ClusterIP'
  const ports = spec.maps('ports') ?? []
  if (ports.length > 64)
    draft.error(spec.at('ports'), `must have at most 64 items, got ${ports.length}`)
  const selector = spec.labels('selector')
  if (!['ClusterIP', 'NodePort', 'LoadBalancer'].includes(type)) {
    const rule = 'must be "ClusterIP", "NodePort" or "LoadBalancer"'
    draft.error(spec.at('type'), `${rule}, got ${show(type)}`)
  }
  if (ports.length > 64) return draft
  if (selector === undefined || Object.keys(selector).length === 0) {
    draft.error(
      spec.at('selector'),
      'must have at least one label: it is how the Deployment is found',
    )
    return draft
  }
  const found = deployments.filter(
    deployment =>
      deployment.namespace === namespace &&
      Object.entries(selector).every(([key, label]) => deployment.podLabels[key] === label),
  )
  if (found.length === 0) {
    draft.warn(
      spec.at('selector'),
      'matches no Deployment of these files: the Service names nothing',
    )
  }
  for (const deployment of found) {
    if (!addAlias(deployment, name, top.at('metadata'), draft)) return draft
    const count = ports.length
    for (const port of ports) namePort(port, deployment, count, name)
    carryRest(spec, name, deployment)
  }
  const headless = spec.get('clusterIP') === 'None'
  if (!headless && found.length > 0) {
    const numbers = ports.map(port => String(port.get('port'))).join(', ')
    draft.warn(
      spec.get('type') === undefined ? spec.path : spec.at('type'),
      `${type} opens no address and no port ${numbers}: clients find the real ports by DNS, SRV _${name}._tcp.shoal`,
    )
  }
  for (const port of ports) {
    if (port.get('nodePort') !== undefined) {
      draft.warn(port.at('nodePort'), 'is not opened: write hostPort at the container’s port')
    }
    if (port.get('appProtocol') !== undefined) {
      draft.warn(port.at('appProtocol'), 'kept, not acted on: nothing is proxied')
    }
  }
  return draft
}

/**
 * One more name in DNS for the app. Checked here, because only this draft knows its line.
 *
 * @returns False when it cannot be; the draft says why.
 */
function addAlias(deployment: Deployment, name: string, metadata: Path, draft: Draft): boolean {
  const { aliases } = deployment
  if (name === deployment.name || aliases.includes(name)) return true
  if (!isDnsLabel(name)) {
    draft.error([...metadata, 'name'], `must be ${DNS_LABEL_RULE}, got ${show(name)}`)
    return false
  }
  if (aliases.length === ALIASES_MAX) {
    const message = `must be one of at most ${ALIASES_MAX} Services of Deployment ${deployment.name}`
    draft.error([...metadata, 'name'], message)
    return false
  }
  aliases.push(name)
  deployment.draft.put(['aliases'], [...aliases], [])
  return true
}

/** Gives the name of a Service's port to the app's port behind it. */
function namePort(port: Fields, deployment: Deployment, count: number, service: string): void {
  const { draft } = port
  const number = port.integer('port')
  const name = port.text('name')
  const protocol = port.text('protocol') ?? 'TCP'
  const target = port.get('targetPort') ?? number
  if (number === undefined || number < 1 || number > 65_535) {
    draft.error(port.at('port'), `must be a port from 1 to 65535, got ${show(port.get('port'))}`)
    return
  }
  if (protocol !== 'TCP' && protocol !== 'UDP') {
    draft.error(port.at('protocol'), `must be "TCP" or "UDP", got ${show(protocol)}`)
    return
  }
  if (count > 1 && name === undefined) {
    draft.error(port.at('name'), 'is missing: the ports of a Service with several must have names')
    return
  }
  const { container, ports, network } = deployment
  if (container === undefined) return
  const own = protocol === 'UDP' ? 'udp' : 'tcp'
  const index =
    typeof target === 'string' && !/^\d+$/.test(target)
      ? ports.findIndex(candidate => candidate.name === target)
      : indexOfPort(container, ports, Number(target), own, network)
  if (index === undefined || index < 0) {
    const rule = 'must be a port from 1 to 65535, or the name of a port of the container'
    draft.error(port.at('targetPort'), `${rule}, got ${show(target)}`)
    return
  }
  const entry = ports[index]!
  if (name === undefined) return
  if (!isDnsLabel(name)) {
    draft.error(port.at('name'), `must be ${DNS_LABEL_RULE}, got ${show(name)}`)
  } else if (entry.service !== undefined && entry.name !== name) {
    const message = `is kept out of DNS: Service ${entry.service} named the port ${show(entry.name)} already`
    draft.warn(port.at('name'), message)
  } else {
    entry.name = name
    entry.service = service
    deployment.draft.put(['ports', index, 'name'], name, container.at('ports'))
  }
}

/** Keeps what else the Service says with the app that it belongs to, under its own name. */
function carryRest(spec: Fields, name: string, deployment: Deployment): void {
  deployment.draft.carry(spec.path, { ...spec.whole() }, undefined, ['services', name])
  for (const key of spec.keys()) {
    if (KNOWN.has(key) || spec.get(key) === undefined) continue
    spec.draft.warn(spec.at(key), 'kept, not acted on: nothing is proxied')
  }
}
