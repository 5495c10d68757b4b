import type { AppSpec } from '../../model/app.ts'
import type { TaskPort } from '../../model/task.ts'
import { digest } from '../../util/keys.ts'

/** The host ports that are given out where the app does not name one: as Mesos does. */
export const PORT_MIN = 31_000
/** The last of them. */
export const PORT_MAX = 32_000

/**
 * Chooses the host ports of a new task.
 *
 * @param salt Spreads the choices of different tasks and nodes over the range, so
 *   that several nodes on one machine seldom want the same port.
 * @param used Ports that are not to be given out; what is chosen is added.
 */
export function choosePorts(spec: AppSpec, salt: string, used: Set<number>): TaskPort[] {
  const isDirect = spec.network === 'host' || spec.image === undefined
  return spec.ports.map(({ name = '', port, hostPort, protocol }, index) => {
    const fixed = hostPort || (isDirect ? port : 0)
    const chosen = fixed || freePort(`${salt} ${index}`, used)
    used.add(chosen)
    return {
      name,
      protocol,
      containerPort: isDirect ? chosen : port || chosen,
      hostPort: chosen,
    }
  })
}

/** A free port of the range; the first candidate when all are in use, which the runtime will then report as taken. */
function freePort(salt: string, used: ReadonlySet<number>): number {
  const size = PORT_MAX - PORT_MIN + 1
  const start = parseInt(digest(salt, 8), 16) % size
  for (let offset = 0; offset < size; offset++) {
    const port = PORT_MIN + ((start + offset) % size)
    if (!used.has(port)) return port
  }
  return PORT_MIN + start
}
