/**
 * A node's liveness in a process of its own, which tests stop and continue:
 *
 *     node peer-process.ts KEY_BYTE PSK_HEX
 *
 * It prints `{"port"}` and each `{"verdict"}`, one line each, and is told of members by lines of `[[node, port]…]`.
 */

import { createInterface } from 'node:readline'
import { startLiveness } from '../../../src/gossip/liveness/start-liveness.ts'
import type { ProbeAddress } from '../../../src/gossip/liveness/swim-message.ts'
import type { NodeId } from '../../../src/model/ids.ts'
import { nodeOfRawKey } from '../../../src/util/keys.ts'

const ADDRESS = '127.0.0.1'
const [, , keyByte, psk = ''] = process.argv

const liveness = await startLiveness({
  self: nodeOfRawKey(Buffer.alloc(32, Number(keyByte))),
  psk: Buffer.from(psk, 'hex'),
  bind: { address: ADDRESS, port: 0 },
  incarnation: 1,
  preset: 'local',
  log: (message, error) => {
    process.stderr.write(`${message} ${String(error)}\n`)
  },
})
liveness.onVerdict(verdict => say({ verdict }))
say({ port: liveness.port })
createInterface({ input: process.stdin }).on('line', line => {
  const members = JSON.parse(line) as [NodeId, number][]
  liveness.setMembers(
    new Map(
      members.map(([node, port]): [NodeId, ProbeAddress] => [node, { address: ADDRESS, port }]),
    ),
  )
})

function say(line: unknown): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
