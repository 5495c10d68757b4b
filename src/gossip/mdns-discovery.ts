import { createHash } from 'node:crypto'
import { start, stop, type ComponentLogger, type PeerInfo } from '@libp2p/interface'
import type { mdns } from '@libp2p/mdns'

// Every answer is multicast to everybody, so the cost grows with the square of the cluster: at 10 nodes this is 0.25 kB/s.
// A node asks when it starts, and answers whoever asks, so a newcomer need not wait for it.
const QUERY_MS = 120_000

/** The interfaces are read so often; once before each question. */
const SCAN_MS = 30_000

/** The parts of libp2p that mDNS needs. */
export type MdnsComponents = Parameters<ReturnType<typeof mdns>>[0]

/** What mDNS discovery needs. */
export interface MdnsOptions {
  readonly components: MdnsComponents
  /** The cluster's id, which is no secret; its hash is announced, so that clusters on one LAN do not see each other. */
  readonly cluster: string
  readonly onFound: (peer: PeerInfo) => void
  readonly log: (line: string) => void
}

/**
 * Announces this node on the LAN and listens for others, by multicast DNS (RFC 6762): at
 * start and every 2 minutes. Where multicast is not
 * available it logs one line and finds nobody; the node goes on.
 */
export async function startMdnsDiscovery({
  components,
  cluster,
  onFound,
  log,
}: MdnsOptions): Promise<{ close(): Promise<void> }> {
  const { mdns: createMdns } = await import('@libp2p/mdns')
  let complained = false
  function complain(cause: unknown): void {
    if (complained) return
    complained = true
    const why = cause instanceof Error ? cause.message : String(cause)
    log(`mDNS discovery does not work here (${why}): other nodes are found by their addresses only`)
  }

  const tag = createHash('sha256').update(`shoal mdns ${cluster}`).digest('hex').slice(0, 16)
  const service = createMdns({ serviceTag: `_shoal-${tag}._udp.local`, interval: QUERY_MS })({
    addressManager: components.addressManager,
    logger: withErrors(components.logger, complain),
  })
  service.addEventListener('peer', event => onFound(event.detail))
  // Started and stopped like any libp2p component, but by hand: its failing must not stop the node.
  try {
    await start(service)
    scanRarely(service)
  } catch (cause) {
    complain(cause)
  }
  return {
    close: () => stop(service).catch(complain),
  }
}

/**
 * multicast-dns reads the interfaces of the machine every five seconds, to listen on new ones, too. While an engine makes
 * networks that takes the main thread a tenth of a second each time, for the kernel lets one at a time at them. So they are
 * read less often. The library has no setting for it; a release that names its parts otherwise scans as before.
 */
function scanRarely(service: object): void {
  const mdns: unknown = Reflect.get(service, 'mdns')
  if (!isScanner(mdns)) return
  const scan = mdns.update
  let scannedAtMs = -Infinity
  mdns.update = () => {
    if (performance.now() - scannedAtMs < SCAN_MS) return
    scannedAtMs = performance.now()
    scan()
  }
}

function isScanner(value: unknown): value is { update: () => void } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'update' in value &&
    typeof value.update === 'function'
  )
}

/** The same logger, with a listener for errors: mDNS reports its failures nowhere else. */
function withErrors(logger: ComponentLogger, onError: (cause: unknown) => void): ComponentLogger {
  return {
    forComponent: name => {
      const log = logger.forComponent(name)
      return Object.assign((format: unknown, ...rest: unknown[]) => log(format, ...rest), log, {
        error: (format: unknown, ...rest: unknown[]) => {
          onError(rest.find(item => item instanceof Error) ?? format)
          log.error(format, ...rest)
        },
      })
    },
  }
}
