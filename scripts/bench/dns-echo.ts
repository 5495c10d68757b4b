/** A bare Node socket that sends queries back as answers: what no DNS server on Node can be faster than. A process of its own. */

import { createSocket } from 'node:dgram'

const [, , port = ''] = process.argv
const socket = createSocket({ type: 'udp4', lookup: (host, _, done) => done(null, host, 4) })
socket.on('message', (packet, from) => {
  packet[2]! |= 0x80
  socket.send(packet, 0, packet.length, from.port, from.address)
})
socket.bind(Number(port), '127.0.0.1', () => socket.setRecvBufferSize(1024 * 1024))
