/** The server as `dig` sees it: the corners of the RFCs that BIND's client can ask for. */

import { execFile, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { startDnsServer } from '../../src/dns/start-dns-server.ts'
import { createZone } from '../../src/dns/zone.ts'
import { makeApp, makeView } from './make-view.ts'

const hasDig = spawnSync('dig', ['-v']).error === undefined
const skip = hasDig ? false : 'dig is not installed (Debian: bind9-dnsutils)'

t.test('dig', { skip }, async t => {
  const zone = createZone(
    makeView([
      makeApp('/shop/web', [{}, { ports: [{ name: 'http', hostPort: 31_080 }] }]),
      makeApp('/big', 60),
    ]),
  )
  const server = await startDnsServer({ addresses: ['127.0.0.1'], port: 0, names: zone })
  t.teardown(() => server.close())
  const dig = async (args: string): Promise<string> => {
    const common = ['@127.0.0.1', '-p', String(server.port), '+tries=1', '+time=5']
    const { stdout } = await promisify(execFile)('dig', [...common, ...args.split(' ')])
    return stdout
  }

  const cases: [args: string, expected: RegExp, ...more: RegExp[]][] = [
    ['web.shop.shoal', /status: NOERROR/, /flags: qr aa rd;/, /ANSWER: 2/, /IN\s+A\s+10\.0\.0\.1/],
    ['web-shop.shoal AAAA', /status: NOERROR/, /ANSWER: 0, AUTHORITY: 1/, /SOA\s+n1\.node\.shoal/],
    [
      '_web-shop._tcp.shoal SRV',
      /ANSWER: 2, AUTHORITY: 0, ADDITIONAL: 3/,
      /SRV\s+0 1 31080 1\.web-shop/,
    ],
    ['_http._web.shop._tcp.shoal SRV +short', /^0 1 31080 1\.web-shop\.shoal\.\n$/],
    ['WeB.sHoP.ShOaL', /^WeB\.sHoP\.ShOaL\.\s+5\s+IN\s+A/m],
    ['nope.shoal', /status: NXDOMAIN/, /AUTHORITY: 1/],
    ['_tcp.shoal', /status: NOERROR/, /ANSWER: 0/],
    ['shoal SOA +short', /^n1\.node\.shoal\. hostmaster\.shoal\. 7 3600 600 1209600 5\n$/],
    [
      'shoal NS',
      /ANSWER: 2/,
      /NS\s+n2\.node\.shoal/,
      /n2\.node\.shoal\.\s+5\s+IN\s+A\s+10\.0\.0\.2/,
    ],
    ['web.shop.shoal ANY +notcp', /status: NOERROR/, /ANSWER: 2/],
    ['example.com', /status: REFUSED/],
    ['web.shop.shoal CH TXT', /status: REFUSED/],
    ['shoal AXFR', /XFR size: \d{3} records/, /0\.web-shop\.shoal\.\s+5\s+IN\s+A/],
    ['web.shop.shoal +tcp', /ANSWER: 2/, /\(TCP\)/],
    ['web.shop.shoal +noedns', /ANSWER: 2, AUTHORITY: 0, ADDITIONAL: 0/],
    ['web.shop.shoal +edns=1 +noednsneg', /status: BADVERS/, /EDNS: version: 0/, /ANSWER: 0/],
    [
      'web.shop.shoal +ednsopt=65001:aabb',
      /status: NOERROR/,
      /EDNS: version: 0, flags:; udp: 1232/,
    ],
    ['web.shop.shoal +ednsflags=0x40', /status: NOERROR/, /EDNS: version: 0, flags:; /],
    ['web.shop.shoal +cookie', /status: NOERROR/, /ANSWER: 2/],
    ['web.shop.shoal +dnssec', /flags: do;/, /ANSWER: 2/],
    ['web.shop.shoal +norec +adflag +cdflag +zflag', /flags: qr aa cd;/],
    ['web.shop.shoal +opcode=15 +noedns', /opcode: RESERVED15, status: NOTIMP/],
    ['web.shop.shoal TYPE1000', /status: NOERROR/, /ANSWER: 0, AUTHORITY: 1/],
    ['+bufsize=512 +ignore _big._tcp.shoal SRV', /flags: qr aa tc rd;/, /ADDITIONAL: 1/],
    [
      '+bufsize=512 _big._tcp.shoal SRV',
      /Truncated, retrying in TCP mode/,
      /ANSWER: 60/,
      /ADDITIONAL: 61/,
    ],
  ]
  for (const [args, ...expected] of cases) {
    // oxlint-disable-next-line no-await-in-loop
    const output = await dig(args)
    for (const pattern of expected) t.match(output, pattern, `dig ${args}`)
    t.notMatch(output, /malformed|extra bytes|mismatch|parse error/i, `dig ${args}`)
  }
})
