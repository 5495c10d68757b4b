import { createSocket } from 'node:dgram'
import { isIP, isIPv4, isIPv6 } from 'node:net'
import type { ProbeAddress } from './swim-message.ts'

const IPV4_IN_IPV6 = '::ffff:'

/** What a {@link ProbeSocket} tells. */
export interface ProbeSocketListener {
  readonly onListening: (port: number) => void
  readonly onFailed: (reason: string) => void
  readonly onDatagram: (datagram: Uint8Array, from: ProbeAddress) => void
  /** A datagram could not be sent, or the network says that it did not arrive. */
  readonly onSendError: () => void
}

/** The UDP socket of the prober. */
export interface ProbeSocket {
  /** Best effort, and never throws. */
  send(datagram: Uint8Array, to: ProbeAddress): void
}

/**
 * Listens on an address, by number. Names are never looked up, because a resolver can hang. IPv4 peers of
 * an IPv6 socket are known by their IPv4 address.
 */
export function openProbeSocket(bind: ProbeAddress, listener: ProbeSocketListener): ProbeSocket {
  const isWide = isIPv6(bind.address)
  const socket = createSocket({ type: isWide ? 'udp6' : 'udp4', lookup: lookupAddress })
  const failed = ({ message }: Error): void => listener.onFailed(message)
  socket.once('error', failed)
  socket.bind({ address: bind.address, port: bind.port, exclusive: true }, () => {
    socket.off('error', failed)
    // From here on an error is one of the network (ICMP): that datagram is lost, nothing else.
    socket.on('error', listener.onSendError)
    socket.on('message', (datagram, { address, port }) =>
      listener.onDatagram(datagram, { address: plain(address), port }),
    )
    listener.onListening(socket.address().port)
  })
  return {
    send: (datagram, { address, port }) => {
      const target = isWide && isIPv4(address) ? IPV4_IN_IPV6 + address : address
      try {
        socket.send(datagram, port, target, error => {
          if (error !== null) listener.onSendError()
        })
      } catch {
        // A port that no socket can send to: whoever announced it will count as dead.
        listener.onSendError()
      }
    },
  }
}

function plain(address: string): string {
  return address.startsWith(IPV4_IN_IPV6) ? address.slice(IPV4_IN_IPV6.length) : address
}

function lookupAddress(
  host: string,
  _options: unknown,
  done: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  const family = isIP(host)
  const error = family === 0 ? new Error(`Not an IP address: ${host}`) : null
  done(error, host, family)
}
