import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { HostPort } from './port-name.ts'

/**
 * Finds a port that a new process could not listen on, by listening there for a
 * moment. Another program may still take it before the process does: then the
 * process fails by itself and says so in its own words.
 *
 * @returns The first such port and the system's reason, or nothing when all are free.
 */
export async function findTakenPort(
  ports: readonly HostPort[],
  address: string,
): Promise<{ readonly port: HostPort; readonly reason: string } | undefined> {
  const reasons = await Promise.all(
    ports.map(port => (port.protocol === 'tcp' ? tryTcp : tryUdp)(port.hostPort, address)),
  )
  const at = reasons.findIndex(reason => reason !== undefined)
  return at === -1 ? undefined : { port: ports[at]!, reason: reasons[at]! }
}

async function tryTcp(port: number, host: string): Promise<string | undefined> {
  const server = createServer()
  try {
    server.listen({ port, host, exclusive: true })
    await once(server, 'listening')
  } catch (error) {
    return String(error)
  }
  server.close()
  await once(server, 'close')
  return undefined
}

async function tryUdp(port: number, address: string): Promise<string | undefined> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  try {
    socket.bind({ port, address, exclusive: true })
    await once(socket, 'listening')
  } catch (error) {
    socket.close()
    return String(error)
  }
  socket.close()
  await once(socket, 'close')
  return undefined
}
