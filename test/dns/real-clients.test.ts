/** A node's DNS as the clients of BIND, Knot, NSD and Node see it: what the RFCs say of each corner that they can ask about. */

import { execFile, spawnSync } from 'node:child_process'
import { Resolver } from 'node:dns/promises'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { startDns } from '../../src/dns/worker/start-dns.ts'
import { makeApp, makeView } from './make-view.ts'

/** What one call must print, as patterns. */
type Case = readonly [args: string, ...expected: (RegExp | string)[]]

const address = '127.0.0.1'
const DEADLINE_S = 10
const SOA =
  /^shoal\.\s+5\s+IN\s+SOA\s+n1\.node\.shoal\. hostmaster\.shoal\. \d+ 3600 600 1209600 5$/m

/** Why a client is not asked, if so: a test that is skipped says which package it is in. */
function missing(client: string, flag: string, debianPackage: string): string | false {
  const isThere = spawnSync(client, [flag]).error === undefined
  return isThere ? false : `${client} is not installed (Debian: ${debianPackage})`
}

const NO_DIG = missing('dig', '-v', 'bind9-dnsutils')

/** The port of a node's DNS, in a thread of its own as in a daemon, with the default rules. */
async function start(t: Test): Promise<number> {
  const dns = await startDns({
    addresses: [address],
    port: 0,
    view: makeView([
      makeApp('/shop/web', [{}, { ports: [{ name: 'http', hostPort: 31_080 }] }]),
      makeApp('/big', 60),
      makeApp('/idle', 0),
      makeApp('/six', [{ address: 'fd00::6' }]),
    ]),
    identity: { name: 'n1', version: 'Shoal test' },
    log: (message, error) => t.fail(message, { error }),
  })
  t.teardown(async () => await dns.close())
  return dns.port
}

async function run(client: string, args: readonly string[]): Promise<string> {
  try {
    return (await promisify(execFile)(client, args)).stdout
  } catch (error) {
    // Some end with another code than 0 where the answer is an error: what they print counts.
    if (error instanceof Error && 'stdout' in error && error.stdout !== '')
      return String(error.stdout)
    throw error
  }
}

async function check(
  t: Test,
  cases: readonly Case[],
  ask: (args: string[]) => Promise<string>,
): Promise<void> {
  for (const [args, ...expected] of cases) {
    // oxlint-disable-next-line no-await-in-loop -- one limit of processes is enough
    const output = await ask(args.split(' '))
    for (const pattern of expected) t.match(output, pattern, args)
    t.notMatch(
      output,
      /malformed|extra bytes|mismatch|parse error|trailing garbage|timed out/i,
      args,
    )
  }
}

t.test('dig', { skip: NO_DIG }, async t => {
  const port = await start(t)
  const common = [`@${address}`, '-p', String(port), '+tries=1', `+time=${DEADLINE_S}`, '+nocookie']
  await check(t, DIG, async args => await run('dig', [...common, ...args]))
})

t.test('dig: a cookie is good the second time, and is not demanded', { skip: NO_DIG }, async t => {
  const port = await start(t)
  const ask = async (...args: string[]): Promise<string> =>
    await run('dig', [`@${address}`, '-p', String(port), '+tries=1', 'web.shop.shoal', ...args])
  const [, cookie = ''] =
    /COOKIE: ([0-9a-f]{48}) \(good\)/.exec(await ask('+cookie=0123456789abcdef')) ?? []
  t.match(cookie, /^0123456789abcdef01000000/, 'ours of RFC 9018, behind the client’s')
  t.match(await ask(`+cookie=${cookie}`), new RegExp(`COOKIE: 0123456789abcdef\\w{32} \\(good\\)`))
  const wrong = `${cookie.slice(0, -2)}${cookie.endsWith('00') ? '11' : '00'}`
  t.match(
    await ask(`+cookie=${wrong}`),
    /status: NOERROR[^]*ANSWER: 2[^]*\(good\)/,
    'none is demanded',
  )
})

t.test('kdig', { skip: missing('kdig', '-V', 'knot-dnsutils') }, async t => {
  const port = await start(t)
  const common = [`@${address}`, '-p', String(port), '+retry=0', `+time=${DEADLINE_S}`]
  await check(t, KDIG, async args => await run('kdig', [...common, ...args]))
})

t.test('drill', { skip: missing('drill', '-v', 'ldnsutils') }, async t => {
  const port = await start(t)
  await check(
    t,
    DRILL,
    async args => await run('drill', ['-p', String(port), ...args, `@${address}`]),
  )
})

t.test("Node's resolver", async t => {
  const resolver = new Resolver({ timeout: DEADLINE_S * 1000, tries: 1 })
  resolver.setServers([`${address}:${await start(t)}`])
  t.strictSame((await resolver.resolve4('web.shop.shoal')).toSorted(), ['10.0.0.1', '10.0.0.2'])
  t.match(await resolver.resolve4('0.web.shop.shoal', { ttl: true }), [
    { address: '10.0.0.1', ttl: 5 },
  ])
  t.equal((await resolver.resolveSrv('_big._tcp.shoal')).length, 60, 'over TCP, when it is cut')
  t.match(await resolver.resolveSrv('_http._web-shop._tcp.shoal'), [
    { name: '1.web-shop.shoal', port: 31_080, priority: 0, weight: 1 },
  ])
  t.match(await resolver.resolveTxt('why.web.shop.shoal'), [[/^\/shop\/web: 2 of 2 slots serve/]])
  t.strictSame(await resolver.reverse('10.0.0.2'), ['n2.node.shoal'])
  t.match(await resolver.resolveSoa('shoal'), { nsname: 'n1.node.shoal', minttl: 5 })
  t.strictSame((await resolver.resolveNs('shoal')).toSorted(), ['n1.node.shoal', 'n2.node.shoal'])
  t.equal((await resolver.resolveAny('web.shop.shoal')).length, 2)
  await t.rejects(resolver.resolve4('nope.shoal'), { code: 'ENOTFOUND' })
  for (const name of ['idle.shoal', '_tcp.shoal']) {
    // oxlint-disable-next-line no-await-in-loop
    await t.rejects(resolver.resolve4(name), { code: 'ENODATA' }, name)
  }
  t.strictSame(await resolver.resolve6('six.shoal'), ['fd00::6'])
  await t.rejects(resolver.resolve6('web.shop.shoal'), { code: 'ENODATA' })
  await t.rejects(resolver.resolve4('example.org'), { code: 'EREFUSED' })
})

/** `opcode: RESERVED15, status: NOTIMP` and the like: an answer of nothing but a header. */
function bare(rcode: string): RegExp {
  return new RegExp(
    `status: ${rcode}, [^]*flags: qr( rd)?; QUERY: 0, ANSWER: 0, AUTHORITY: 0, ADDITIONAL: 0\\n`,
  )
}

const NODATA = /status: NOERROR, [^]*ANSWER: 0, AUTHORITY: 1/

const DIG: readonly Case[] = [
  // Names.
  ['web.shop.shoal', /status: NOERROR/, /flags: qr aa rd;/, /ANSWER: 2/, /IN\s+A\s+10\.0\.0\.1/],
  ['WeB.sHoP.ShOaL', /^WeB\.sHoP\.ShOaL\.\s+5\s+IN\s+A/m],
  ['web-shop.shoal AAAA', NODATA, SOA],
  ['idle.shoal', NODATA, SOA],
  ['_tcp.shoal', NODATA, SOA],
  ['nope.shoal', /status: NXDOMAIN/, /flags: qr aa rd;/, /ANSWER: 0, AUTHORITY: 1/, SOA],
  ['nope.web.shop.shoal', /status: NXDOMAIN/, SOA],
  [`${'a'.repeat(63)}.shoal`, /status: NXDOMAIN/],
  [`${`${'a'.repeat(60)}.`.repeat(4)}shoal`, /status: NXDOMAIN/],
  ['a\\000b\\.c.shoal', /status: NXDOMAIN/],
  ['_web-shop._tcp.shoal SRV', /ANSWER: 2, AUTHORITY: 0, ADDITIONAL: 3/],
  ['_http._web.shop._tcp.shoal SRV +short', /^0 1 31080 1\.web-shop\.shoal\.\n$/],
  ['-x 10.0.0.2 +short', /^n2\.node\.shoal\.\n$/],
  ['-x 10.0.0.99', /status: REFUSED/],
  ['shoal SOA', SOA, /ANSWER: 1, AUTHORITY: 0/],
  ['shoal NS', /ANSWER: 2/, /n2\.node\.shoal\.\s+5\s+IN\s+A\s+10\.0\.0\.2/],
  // Types. What we have none of is NODATA (RFC 2308), ANY is answered with one type (RFC 8482), and what is no
  // type of a record cannot be asked for (RFC 6895, section 3.1).
  ['web.shop.shoal ANY +notcp', /status: NOERROR/, /ANSWER: 2/],
  ['_web-shop._tcp.shoal ANY +notcp', /ANSWER: 2/, /SRV/],
  ['nope.shoal ANY +notcp', /status: NXDOMAIN/],
  ...['CNAME', 'HTTPS', 'SVCB', 'DS', 'DNSKEY', 'RRSIG', 'TYPE0', 'TYPE1000', 'TYPE65535'].map(
    (type): Case => [`web.shop.shoal ${type}`, NODATA, SOA],
  ),
  ['web.shop.shoal TYPE41', /status: FORMERR/],
  ...['TYPE249', 'TYPE250', 'MAILA', 'MAILB'].map((type): Case => [
    `web.shop.shoal ${type}`,
    /status: NOTIMP/,
    /ANSWER: 0/,
  ]),
  // Classes.
  ['web.shop.shoal CH TXT', /status: REFUSED/],
  ['web.shop.shoal -c HS', /status: REFUSED/],
  ['-q web.shop.shoal -c ANY', /status: REFUSED/],
  ['-q web.shop.shoal -c CLASS254', /status: REFUSED/],
  ['version.bind CH TXT +short', /^"Shoal test"\n$/],
  ['id.server CH TXT +short', /^"n1"\n$/],
  // Other domains, where nobody is asked about them.
  ['example.com', /status: REFUSED/, /flags: qr rd;/],
  ['. NS', /status: REFUSED/],
  // Whole zones, for this machine.
  ['shoal AXFR', /XFR size: \d{3} records/, /0\.web-shop\.shoal\.\s+5\s+IN\s+A/],
  ['shoal IXFR=1', /XFR size: \d{3} records/],
  ['shoal IXFR=1 +notcp', new RegExp(`${SOA.source}\\n;; Query time`, 'm')],
  ['web.shop.shoal AXFR', /Transfer failed/],
  ['example.com AXFR', /Transfer failed/],
  // Transports and sizes (RFC 6891, section 6.2.3; RFC 9715).
  ['web.shop.shoal +tcp', /ANSWER: 2/, /\(TCP\)/],
  ['+tcp +keepopen web.shop.shoal nope.shoal', /ANSWER: 2[^]*status: NXDOMAIN/],
  ['+ignore +noedns _big._tcp.shoal SRV', /flags: qr aa tc rd;/, sized(400, 512)],
  ...['0', '100', '512'].map((size): Case => [
    `+ignore +bufsize=${size} _big._tcp.shoal SRV`,
    /flags: qr aa tc rd;/,
    /ADDITIONAL: 1/,
    sized(400, 512),
  ]),
  ['+ignore +bufsize=65535 _big._tcp.shoal SRV', /flags: qr aa tc rd;/, sized(1_000, 1_232)],
  ['+bufsize=512 _big._tcp.shoal SRV', /retrying in TCP mode/, /ANSWER: 60/, /ADDITIONAL: 61/],
  // EDNS, in the terms of ISC's compliance tests.
  ['web.shop.shoal +noedns', /ANSWER: 2, AUTHORITY: 0, ADDITIONAL: 0/, noOpt()],
  ['web.shop.shoal', /EDNS: version: 0, flags:; udp: 1232/],
  [
    'web.shop.shoal +edns=1 +noednsneg',
    /status: BADVERS/,
    /EDNS: version: 0, flags:;/,
    /ANSWER: 0/,
  ],
  ['web.shop.shoal +edns=1', /status: NOERROR/, /BADVERS, retrying/, /ANSWER: 2/],
  ['web.shop.shoal +edns=100 +noednsneg +ednsopt=100', /status: BADVERS/, without('OPT=100')],
  ['web.shop.shoal +edns=1 +noednsneg +dnssec', /status: BADVERS/, /flags: do;/],
  ['web.shop.shoal +ednsopt=65001:aabb', /status: NOERROR/, /ANSWER: 2/, without('OPT=65001')],
  ['web.shop.shoal +ednsflags=0x40', /status: NOERROR/, /EDNS: version: 0, flags:; /],
  ['web.shop.shoal +ednsflags=0x7fff', /status: NOERROR/, /EDNS: version: 0, flags:; /],
  ['web.shop.shoal +dnssec', /EDNS: version: 0, flags: do;/, /ANSWER: 2/],
  ['web.shop.shoal +subnet=10.0.0.0/8', /ANSWER: 2/, without('CLIENT-SUBNET')],
  ['web.shop.shoal +padding=128', /ANSWER: 2/, without('PAD')],
  ['shoal SOA +expire', /ANSWER: 1/, without('EXPIRE')],
  ['web.shop.shoal +nsid', /NSID: 6e 31 \("n1"\)/],
  ['web.shop.shoal +keepalive', /ANSWER: 2/, without('KEEPALIVE')],
  ['web.shop.shoal +keepalive +tcp', /TCP KEEPALIVE: 10\.0 secs/],
  // Cookies: sizes that are none (RFC 7873, section 5.2.2), and a query for nothing else (5.4).
  ...['', 'aabb', 'aabbccddeeff0011aa', 'aa'.repeat(41)].map((hex): Case => [
    `web.shop.shoal +ednsopt=10:${hex}`,
    bare('FORMERR'),
  ]),
  ['+header-only +cookie', /status: NOERROR/, /QUERY: 0, ANSWER: 0/, /COOKIE: \w{48} \(good\)/],
  ['+header-only', bare('FORMERR')],
  // Flags: ours alone, but for RD and CD (RFC 1035, section 4.1.1; RFC 4035, section 3.1.6).
  ['web.shop.shoal +norec +adflag +cdflag +zflag', /flags: qr aa cd;/],
  ['web.shop.shoal +aaflag +raflag +tcflag +ignore', /flags: qr aa rd;/, /ANSWER: 2/],
  ['nope.shoal +norec', /flags: qr aa;/],
  // Opcodes, one by one.
  ...[1, 2, 3, 4, 5, 6, 7, 15].flatMap((code): Case[] => [
    [`shoal SOA +opcode=${code}`, bare('NOTIMP')],
    [`shoal SOA +opcode=${code} +noedns +tcp`, bare('NOTIMP')],
  ]),
]

const KDIG: readonly Case[] = [
  ['web.shop.shoal', /status: NOERROR/, /Flags: qr aa rd; QUERY: 1; ANSWER: 2;/],
  ['+noidn WeB.shop.shoal', /^WeB\.shop\.shoal\.\s+5\s+IN\s+A/m],
  ['nope.shoal', /status: NXDOMAIN/, SOA],
  ['-t TYPE1234 web.shop.shoal', /status: NOERROR/, /ANSWER: 0; AUTHORITY: 1/],
  ['-t SRV _web-shop._tcp.shoal', /ANSWER: 2; AUTHORITY: 0; ADDITIONAL: 2/],
  ['-t ANY web.shop.shoal', /ANSWER: 2/],
  ['-x 10.0.0.1 +short', /^n1\.node\.shoal\.\n$/],
  ['-c CH -t TXT version.bind', /"Shoal test"/],
  ['-c CH -t TXT nope.bind', /status: REFUSED/],
  ['+tcp web.shop.shoal', /ANSWER: 2/, /\(TCP\)/],
  ['+tcp +keepopen web.shop.shoal nope.shoal', /ANSWER: 2[^]*status: NXDOMAIN/],
  ['+edns=1 web.shop.shoal', /ext-rcode: BADVERS/, /ANSWER: 0/],
  ['+ednsopt=65001:0011 web.shop.shoal', /ANSWER: 2/, without('65001')],
  ['+bufsize=512 +ignore _big._tcp.shoal SRV', /Flags: qr aa tc rd;/],
  ['+bufsize=512 _big._tcp.shoal SRV', /ANSWER: 60/, /\(TCP\)/],
  ['+cookie=0123456789abcdef web.shop.shoal', /COOKIE: 0123456789ABCDEF01000000/],
  ['+nsid web.shop.shoal', /NSID: 6E31 "n1"/],
  ['+norec +cdflag +adflag +zflag web.shop.shoal', /Flags: qr aa cd;/],
  ['shoal AXFR', /AXFR for shoal\./, /Received \d+ B \(\d+ messages, \d{3} records\)/],
  ['-t IXFR=1 shoal', /IXFR for shoal\./, /\d{3} records\)/],
]

const DRILL: readonly Case[] = [
  ['web.shop.shoal', /rcode: NOERROR/, /flags: qr aa rd ; QUERY: 1, ANSWER: 2/],
  ['nope.shoal', /rcode: NXDOMAIN/, SOA],
  ['_tcp.shoal', /rcode: NOERROR/, /ANSWER: 0, AUTHORITY: 1/],
  ['web.shop.shoal TYPE4711', /rcode: NOERROR/, /ANSWER: 0, AUTHORITY: 1/],
  ['_web-shop._tcp.shoal SRV', /ANSWER: 2, AUTHORITY: 0, ADDITIONAL: 2/],
  ['-x 10.0.0.1', /PTR\s+n1\.node\.shoal\./],
  ['version.bind CH TXT', /"Shoal test"/],
  ['-t web.shop.shoal', /ANSWER: 2/],
  ['-b 1232 -u _big._tcp.shoal SRV', /flags: qr aa tc rd ;/],
  ['-b 512 -a _big._tcp.shoal SRV', /ANSWER: 60, AUTHORITY: 0, ADDITIONAL: 60/],
  ['-D web.shop.shoal', /EDNS: version 0; flags: do ; udp: 1232/],
  ['-o rd,CD web.shop.shoal', /flags: qr aa cd ;/],
  ['-t shoal AXFR', /^shoal\.\s+5\s+IN\s+SOA[^]*^big\.shoal\.[^]*^shoal\.\s+5\s+IN\s+SOA/m],
]

/** Matches where dig says that the answer had `min` to `max` bytes. */
function sized(min: number, max: number): RegExp {
  const sizes = Array.from({ length: max - min + 1 }, (_, index) => min + index)
  return new RegExp(`MSG SIZE  rcvd: (?:${sizes.join('|')})\\n`)
}

/** Matches an answer that has an OPT record and not this option in it. */
function without(option: string): RegExp {
  return new RegExp(`^(?![^]*\\b${option}\\b)[^]*(?:EDNS: version: 0|Version: 0)`)
}

/** Matches an answer without an OPT record. */
function noOpt(): RegExp {
  return /^(?![^]*OPT PSEUDOSECTION)/
}
