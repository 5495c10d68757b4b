import { fromMs, toMs, type Duration } from '../model/duration.ts'
import type { Fields } from './fields.ts'
import { show } from './finding.ts'
import { warnUnlessInert } from './marathon-carry.ts'
import type { ImportedPort } from './marathon-ports.ts'

const PROTOCOLS = ['HTTP', 'HTTPS', 'TCP', 'COMMAND', 'MESOS_HTTP', 'MESOS_HTTPS', 'MESOS_TCP']

/** Reads the health checks of an app into its draft, with Marathon's defaults. */
export function readHealthChecks(app: Fields, ports: readonly ImportedPort[]): void {
  const { draft } = app
  let count = 0
  for (const check of app.maps('healthChecks') ?? []) {
    const protocol = check.text('protocol') ?? 'HTTP'
    const timing = readTiming(check)
    const path = check.text('path')
    const command = check.map('command')
    const portIndex = check.integer('portIndex')
    const port = check.integer('port')
    warnUnlessInert(check, 'ignoreHttp1xx', 'healthChecks[].ignoreHttp1xx')
    warnUnlessInert(check, 'ipProtocol', 'healthChecks[].ipProtocol')
    check.rest()
    if (!PROTOCOLS.includes(protocol)) {
      const message = `must be one of ${PROTOCOLS.join(', ')}, got ${show(protocol)}`
      draft.error(check.at('protocol'), message)
      continue
    }

    const target = ['health', count]
    const put = (key: string, value: unknown, source: string): void =>
      draft.put([...target, key], value, check.at(source))
    const byNumber = ports.find(
      own => port !== undefined && [own.port, own.hostPort].includes(port),
    )
    if (protocol !== 'COMMAND' && port !== undefined && port > 0 && byNumber === undefined) {
      draft.warn(check.at('port'), `is no port of the app: the check is kept, not run, got ${port}`)
      continue
    }
    count++
    draft.put(target, {}, check.path)
    if (protocol === 'COMMAND') {
      put('kind', 'command', 'protocol')
      put('command', command?.text('value'), 'command')
      command?.rest()
    } else {
      const kind = protocol.endsWith('TCP') ? 'tcp' : 'http'
      put('kind', kind, 'protocol')
      if (kind === 'http') {
        put('scheme', protocol.endsWith('S') ? 'https' : 'http', 'protocol')
        put('path', path ?? '/', 'path')
      }
      const index = portIndex ?? 0
      const own = byNumber ?? ports[index]
      // An index that no port has is put as it is: the schema's complaint then names it.
      put('port', own?.index ?? index, port === undefined ? 'portIndex' : 'port')
    }
    put('grace', timing.grace, 'gracePeriodSeconds')
    put('interval', timing.interval, 'intervalSeconds')
    put('timeout', timing.timeout, 'timeoutSeconds')
    put('maxFailures', timing.maxFailures, 'maxConsecutiveFailures')
  }
}

function readTiming(check: Fields): {
  grace: Duration
  interval: Duration
  timeout: Duration
  maxFailures: number
} {
  const grace = toMs(check.seconds('gracePeriodSeconds') ?? fromMs(300_000))
  const delay = toMs(check.seconds('delaySeconds') ?? fromMs(0))
  return {
    grace: fromMs(Math.max(grace, delay)),
    interval: check.seconds('intervalSeconds') ?? fromMs(60_000),
    timeout: check.seconds('timeoutSeconds') ?? fromMs(20_000),
    maxFailures: check.integer('maxConsecutiveFailures') ?? 3,
  }
}
