import fc from 'fast-check'
import t from 'tap'
import {
  checkJoin,
  encodeJoinAnswer,
  encodeJoinRequest,
  parseJoinAnswer,
  parseJoinRequest,
} from '../../src/gossip/join.ts'
import { createToken } from '../../src/gossip/token.ts'
import { toBytes } from '../../src/util/bytes.ts'
import { createNodeKey, createVerify } from '../../src/util/keys.ts'

const [inviter, other] = [1, 2].map(n => createNodeKey(new Uint8Array(32).fill(n)))
const psk = new Uint8Array(32).fill(7)
const nowMs = 1_900_000_000_000
const token = createToken({
  cluster: 'c1',
  psk,
  addresses: [],
  expiresAtMs: nowMs + 1,
  key: inviter!,
})
const cluster = {
  cluster: 'c1',
  psk,
  admitted: new Set([inviter!.node]),
  nowMs,
  verify: createVerify(),
}
const request = { token, name: 'shed', multiaddrs: ['/ip4/192.0.2.9/tcp/7450'], version: '0.1.0' }
const answer = {
  cluster: 'c1',
  document: Uint8Array.of(1, 2, 3),
  admitted: [inviter!.node, other!.node],
  addresses: new Map([[inviter!.node, ['/ip4/192.0.2.1/tcp/7450']]]),
}

t.test('join messages read back as they were', async t => {
  t.strictSame(parseJoinRequest(encodeJoinRequest(request)), { ok: true, value: request })
  t.strictSame(parseJoinAnswer(encodeJoinAnswer(answer)), { ok: true, value: answer })
})

t.test('join messages that are wrong are refused with the place', async t => {
  const { addresses: _, ...bare } = answer
  t.match(parseJoinRequest(toBytes({ ...request, name: '' })), { ok: false, reason: /name/ })
  t.match(parseJoinRequest(toBytes({ ...request, extra: 1 })), { ok: false, reason: /extra/ })
  t.match(parseJoinRequest(toBytes({ ...request, multiaddrs: Array(17).fill('/x') })), {
    ok: false,
    reason: /multiaddrs/,
  })
  t.match(parseJoinAnswer(toBytes({ ...bare, addresses: [], admitted: ['nobody'] })), {
    ok: false,
    reason: /admitted\.0 is not a node id/,
  })
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), bytes => {
      return !parseJoinRequest(bytes).ok && !parseJoinAnswer(bytes).ok
    }),
  )
})

t.test('checkJoin() lets in who holds a token of a member', async t => {
  t.match(checkJoin(token, cluster), { ok: true, value: { inviter: inviter!.node } })
})

t.test('checkJoin() says why not', async t => {
  const late = { ...cluster, nowMs: nowMs + 3_600_000 }
  t.match(checkJoin(token, late), { ok: false, reason: /expired/ })
  t.match(checkJoin(token, { ...cluster, cluster: 'c2' }), { ok: false, reason: /another cluster/ })
  t.match(checkJoin(token, { ...cluster, psk: new Uint8Array(32) }), {
    ok: false,
    reason: /another cluster/,
  })
  t.match(checkJoin(token, { ...cluster, admitted: new Set([other!.node]) }), {
    ok: false,
    reason: /not in the cluster/,
  })
})
