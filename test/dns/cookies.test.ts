import t from 'tap'
import { parseAddress } from '../../src/dns/address.ts'
import { createCookies, SECRET_SECONDS, secretsFrom } from '../../src/dns/cookies.ts'

const hex = (text: string): Buffer => Buffer.from(text, 'hex')
const secret = hex('e5e973e5a6b2a43f48e7dc849e37bfcf')
const address = (text: string): Uint8Array => parseAddress(text)!

function made(of: string, client: string, nowSeconds: number, key = secret): string {
  const out = Buffer.alloc(24)
  createCookies(() => key).write(hex(of), 0, address(client), nowSeconds, out, 0)
  return out.toString('hex')
}

t.test('the cookies of RFC 9018, appendix A', async t => {
  const cases: [what: string, of: string, client: string, nowSeconds: number, cookie: string][] = [
    [
      'A.1: a new one',
      '2464c4abcf10c957',
      '198.51.100.100',
      1_559_731_985,
      '2464c4abcf10c957010000005cf79f111f8130c3eee29480',
    ],
    [
      'A.2: a fresher one for the same client',
      '2464c4abcf10c957010000005cf79f111f8130c3eee29480',
      '198.51.100.100',
      1_559_734_385,
      '2464c4abcf10c957010000005cf7a871d4a564a1442aca77',
    ],
    [
      'A.3: for a cookie with reserved bits set',
      'fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5',
      '203.0.113.203',
      1_559_734_700,
      'fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e',
    ],
  ]
  for (const [what, of, client, nowSeconds, cookie] of cases) {
    t.equal(made(of, client, nowSeconds), cookie, what)
  }
  const cookies = createCookies(() => secret)
  const isValid = (cookie: string, client: string, nowSeconds: number): boolean =>
    cookies.isValid(hex(cookie), 0, address(client), nowSeconds)
  t.ok(isValid('2464c4abcf10c957010000005cf79f111f8130c3eee29480', '198.51.100.100', 1_559_734_385))
  t.ok(
    isValid('fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5', '203.0.113.203', 1_559_728_000),
    'reserved bits of the client are hashed as they are',
  )
})

t.test('A.4: IPv6, and a secret that was rolled over', async t => {
  const [before, after] = [
    hex('dd3bdf9344b678b185a6f5cb60fca715'),
    hex('445536bcd2513298075a5d379663c962'),
  ]
  const nowSeconds = 1_559_741_961
  const today = Math.floor(nowSeconds / SECRET_SECONDS)
  const cookies = createCookies(period => (period >= today ? after : before))
  const client = address('2001:db8:220:1:59de:d0f4:8769:82b8')
  const shown = hex('22681ab97d52c298010000005cf7c57926556bd0934c72f8')
  t.ok(cookies.isValid(shown, 0, client, nowSeconds), 'the one before still holds')
  const out = Buffer.alloc(24)
  cookies.write(shown, 0, client, nowSeconds, out, 0)
  t.equal(out.toString('hex'), '22681ab97d52c298010000005cf7c609a6bb79d16625507a')
  const later = nowSeconds + 2 * SECRET_SECONDS
  t.notOk(createCookies(() => after).isValid(shown, 0, client, nowSeconds), 'without it, not')
  t.notOk(cookies.isValid(shown, 0, client, later), 'nor when it is old')
})

t.test('a cookie holds for its client, for an hour, and as it was made', async t => {
  const madeAt = 1_700_000_000
  const client = address('192.0.2.7')
  const cookies = createCookies(secretsFrom(Buffer.from('a master secret')))
  const cookie = Buffer.alloc(24)
  cookies.write(hex('0102030405060708'), 0, client, madeAt, cookie, 0)
  const isValid = (nowSeconds = madeAt, shown = cookie, by = client): boolean =>
    cookies.isValid(shown, 0, by, nowSeconds)
  t.ok(isValid())
  t.ok(isValid(madeAt + 3_600))
  t.notOk(isValid(madeAt + 3_601), 'too old')
  t.ok(isValid(madeAt - 300), 'from a clock that is ahead')
  t.notOk(isValid(madeAt - 301), 'from the future')
  t.notOk(isValid(madeAt, cookie, address('192.0.2.8')), 'of another client')
  t.notOk(isValid(madeAt, cookie, address('2001:db8::7')), 'of an IPv6 client')
  for (let at = 0; at < 24; at++) {
    t.notOk(isValid(madeAt, Buffer.from(cookie.with(at, cookie[at]! ^ 1))), `byte ${at} changed`)
  }
  const elsewhere = createCookies(secretsFrom(Buffer.from('another one')))
  t.notOk(elsewhere.isValid(cookie, 0, client, madeAt), 'of another server')
})
