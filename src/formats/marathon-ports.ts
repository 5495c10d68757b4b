import type { Fields } from './fields.ts'
import type { Path } from './path.ts'
import { show } from './finding.ts'
import { warnUnlessInert } from './marathon-carry.ts'

/** A port of an app, and which of Marathon's own list it came from. */
export interface ImportedPort {
  /** The index that `portIndex` and `$PORT0…` count by. */
  readonly index: number
  readonly port: number
  readonly hostPort: number
}

/** The maps that ports may stand in. */
export interface PortSources {
  readonly app: Fields
  readonly container: Fields | undefined
  readonly docker: Fields | undefined
  readonly network: 'bridge' | 'host'
}

/**
 * Reads the ports of an app into its draft, from wherever Marathon lets them stand:
 * `container.portMappings`, its old place under `docker`, `portDefinitions`, or the
 * old `ports`. An app that names none gets one, as in Marathon.
 *
 * With host networking a container port *is* a port of the node, so it is taken as
 * such whatever `hostPort` says. Marathon proper forbids mappings there; the seed
 * tutorial has them, and this is the one meaning under which its app is reachable.
 */
export function readPorts({ app, container, docker, network }: PortSources): ImportedPort[] {
  const { draft } = app
  const newMappings = container?.maps('portMappings')
  const oldMappings = docker?.maps('portMappings')
  const definitions = app.maps('portDefinitions')
  const oldPorts = app.list('ports')
  const required = app.flag('requirePorts') ?? false
  const ports: ImportedPort[] = []
  let count = 0

  function put(source: Path, key: string, protocols: readonly string[], name?: string): void {
    const { port, hostPort } = ports.at(-1)!
    const portPath = key === '' ? source : [...source, key]
    for (const protocol of protocols) {
      const at = ['ports', count++]
      draft.put(at, {}, source)
      draft.put([...at, 'port'], port, portPath)
      draft.put(
        [...at, 'hostPort'],
        hostPort,
        hostPort === port ? portPath : [...source, 'hostPort'],
      )
      draft.put([...at, 'protocol'], protocol, [...source, 'protocol'])
      // Names are unique in an app, so the second of two twins gets one that says what it is.
      const twin = protocols.length > 1 && protocol === 'udp'
      if (name !== undefined) {
        draft.put([...at, 'name'], twin ? `${name}-udp` : name, [...source, 'name'])
      }
    }
  }

  function readMapping(mapping: Fields): void {
    const containerPort = mapping.integer('containerPort') ?? 0
    const given = mapping.integer('hostPort') ?? 0
    const port = network === 'host' ? containerPort || given : containerPort
    ports.push({ index: count, port, hostPort: network === 'host' ? port : given })
    put(mapping.path, 'containerPort', readProtocols(mapping), mapping.text('name'))
    for (const key of ['servicePort', 'labels', 'networkNames']) {
      warnUnlessInert(mapping, key, `container.portMappings[].${key}`)
    }
    mapping.rest()
  }

  function readDefinition(definition: Fields): void {
    const given = definition.integer('port') ?? 0
    const port = required ? given : 0
    if (given > 0 && !required) warnServicePort(definition.at('port'), given)
    ports.push({ index: count, port, hostPort: port })
    put(definition.path, 'port', readProtocols(definition), definition.text('name'))
    warnUnlessInert(definition, 'labels', 'portDefinitions[].labels')
    definition.rest()
  }

  function warnServicePort(path: Path, port: number): void {
    draft.warn(
      path,
      `${port} is a service port, because requirePorts is false: a free port is used, $PORT0 and DNS say which`,
    )
  }

  const mappings = newMappings ?? oldMappings
  const source = newMappings ? container : docker
  if (mappings !== undefined && source !== undefined) {
    draft.put(['ports'], [], source.at('portMappings'))
    for (const mapping of mappings) readMapping(mapping)
  } else if (network === 'host' && definitions !== undefined) {
    draft.put(['ports'], [], app.at('portDefinitions'))
    for (const definition of definitions) readDefinition(definition)
  } else if (network === 'host' && oldPorts !== undefined) {
    draft.put(['ports'], [], app.at('ports'))
    for (const [index, given] of oldPorts.entries()) {
      const path = [...app.at('ports'), index]
      if (typeof given !== 'number') draft.error(path, `must be an integer, got ${show(given)}`)
      else {
        if (given > 0 && !required) warnServicePort(path, given)
        const port = required ? given : 0
        ports.push({ index: count, port, hostPort: port })
        put(path, '', ['tcp'])
      }
    }
  } else {
    // Marathon gives an app that names no port one of its own choice.
    draft.put(['ports'], [{}], app.path)
    ports.push({ index: 0, port: 0, hostPort: 0 })
    const unused = definitions?.length ? 'portDefinitions' : oldPorts?.length ? 'ports' : undefined
    if (unused !== undefined) {
      draft.warn(app.at(unused), 'has no effect in a bridge network: write container.portMappings')
    }
  }
  return ports
}

function readProtocols(fields: Fields): readonly string[] {
  const protocol = fields.text('protocol') ?? 'tcp'
  return protocol === 'udp,tcp' || protocol === 'tcp,udp' ? ['tcp', 'udp'] : [protocol]
}
