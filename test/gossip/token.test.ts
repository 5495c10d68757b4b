import fc from 'fast-check'
import t from 'tap'
import { createToken, parseToken, TOKEN_SKEW_MS } from '../../src/gossip/token.ts'
import { createNodeKey, createVerify } from '../../src/util/keys.ts'

const key = createNodeKey(new Uint8Array(32).fill(1))
const nowMs = Date.UTC(2030, 0, 1, 12)
const hour = 3_600_000
const said = {
  cluster: 'c-3f9a',
  psk: new Uint8Array(32).fill(7),
  addresses: [`/ip4/192.0.2.1/tcp/7450/p2p/${key.node}`],
  expiresAtMs: nowMs + hour,
}
const options = { nowMs, verify: createVerify() }
const text = createToken({ ...said, key })

t.test('parseToken() reads what createToken() made', async t => {
  const parsed = parseToken(text, options)
  t.match(parsed, { ok: true })
  if (parsed.ok) t.strictSame(parsed.token, { ...said, inviter: key.node })
  t.match(text, /^shoal1-[1-9A-HJ-NP-Za-km-z]+$/, 'one word without letters that look alike')
})

t.test('parseToken() reads any token back', async t => {
  const token = fc.record({
    cluster: fc.string({ minLength: 1, maxLength: 64 }),
    psk: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    addresses: fc.array(fc.string({ maxLength: 100 }), { maxLength: 4 }),
    expiresAtMs: fc.integer({ min: nowMs, max: nowMs + 1000 * hour }),
  })
  fc.assert(
    fc.property(token, made => {
      const parsed = parseToken(createToken({ ...made, key }), options)
      t.strictSame(parsed, { ok: true, token: { ...made, inviter: key.node } })
    }),
    { numRuns: 50 },
  )
})

t.test('parseToken() does not mind spaces and line breaks', async t => {
  const folded = `  ${text.replaceAll(/(.{40})/g, '$1\r\n   ')}\n`
  t.match(parseToken(folded, options), { ok: true })
})

t.test('parseToken() refuses every change of one character', async t => {
  const letters = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz-0OIl_'
  for (let at = 0; at < text.length; at++) {
    const letter = letters[(at * 7 + 3) % letters.length]!
    const changes = [
      letter === text[at] ? '' : letter, // another letter
      '', // one missing
      text[at]! + letter, // one more
    ]
    for (const change of changes) {
      const changed = text.slice(0, at) + change + text.slice(at + 1)
      const parsed = parseToken(changed, options)
      t.notOk(parsed.ok, `character ${at} as "${change}"`)
    }
  }
})

t.test('parseToken() refuses whatever else it is given, in one line', async t => {
  const anything = fc.oneof(
    fc.string({ maxLength: 300 }),
    fc.string({ maxLength: 300 }).map(rest => `shoal1-${rest}`),
    fc.nat(text.length - 1).map(length => text.slice(0, length)),
    fc.tuple(fc.nat(text.length - 2), fc.nat(text.length - 2)).map(([a, b]) => {
      // Two neighbours swapped, unless they are equal.
      const at = Math.max(7, Math.min(a, b))
      const swapped = text.slice(0, at) + text[at + 1] + text[at] + text.slice(at + 2)
      return swapped === text ? '' : swapped
    }),
  )
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(anything, wrong => {
        const parsed = parseToken(wrong, options)
        return !parsed.ok && parsed.reason.length > 0 && !parsed.reason.includes('\n')
      }),
      { numRuns: 500 },
    ),
  )
})

const expired = (ago: number): string => createToken({ ...said, expiresAtMs: nowMs - ago, key })

t.test('parseToken() says what is wrong', async t => {
  const cases: [string, string, RegExp][] = [
    ['cut short', text.slice(0, -5), /altered or cut short/],
    ['altered', `${text.slice(0, 30)}x${text.slice(31)}`, /altered or cut short/],
    [
      'expired',
      expired(2 * hour),
      /expired 2 h ago \(at 2030-01-01T10:00:00\.000Z\).*`shoal token create`/,
    ],
    ['expired a week ago', expired(7 * 24 * hour), /expired 7 d ago/],
    ['a later version', text.replace('shoal1-', 'shoal2-'), /version 2/],
    [
      'something else',
      'SWMTKN-1-49nj1cmql0jkz5s954yi3oex3nedyz0fb0xx14ie39trti4wxv',
      /no join token/,
    ],
    ['nothing', '', /no join token/],
  ]
  for (const [name, wrong, reason] of cases) {
    t.match(parseToken(wrong, options), { ok: false, reason }, name)
  }
})

t.test('parseToken() allows for clocks that differ by a minute', async t => {
  const ended = createToken({ ...said, expiresAtMs: nowMs - TOKEN_SKEW_MS, key })
  t.match(parseToken(ended, options), { ok: true })
  t.match(parseToken(ended, { ...options, nowMs: nowMs + 1 }), { ok: false })
})

t.test('parseToken() refuses a token that its inviter did not sign', async t => {
  const forger = createNodeKey(new Uint8Array(32).fill(2))
  const forged = createToken({
    ...said,
    key: { node: key.node, sign: bytes => forger.sign(bytes) },
  })
  t.match(parseToken(forged, options), { ok: false, reason: /altered/ })
})

t.test('createToken() refuses what parseToken() would not read', async t => {
  t.throws(() => createToken({ ...said, psk: new Uint8Array(31), key }), { name: 'RangeError' })
  const addresses = Array.from({ length: 17 }, () => '/ip4/192.0.2.1/tcp/1')
  t.throws(() => createToken({ ...said, addresses, key }), { name: 'RangeError' })
})
