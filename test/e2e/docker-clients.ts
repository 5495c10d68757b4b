import type { TestHost } from '../../scripts/testbed/test-host.ts'

/** A record that `dig` printed. */
export interface DigRecord {
  readonly section: 'answer' | 'additional'
  readonly name: string
  readonly type: string
  readonly data: string
}

/** Asks the DNS server of host `server`, port 53, from host `from`, with `dig`. */
export async function dig(
  from: TestHost,
  server: TestHost,
  name: string,
  type: string,
): Promise<DigRecord[]> {
  const sections = ['answer', 'additional'] as const
  const asked = ['dig', `@${server.address}`, name, type, '+tries=1', '+time=2', '+noall']
  // One section at a time: so nothing of the layout of a whole answer must be understood.
  const texts = await Promise.all(
    sections.map(async section => await from.mustExec([...asked, `+${section}`])),
  )
  return texts.flatMap((text, at) =>
    text
      .split('\n')
      .filter(line => line !== '' && !line.startsWith(';'))
      .map(line => {
        const [owner = '', , , kind = '', ...data] = line.split(/\s+/)
        return { section: sections[at]!, name: owner, type: kind, data: data.join(' ') }
      }),
  )
}

/** `address:port` of each instance of an app as a client finds them with one SRV question, sorted. */
export async function lookUp(from: TestHost, server: TestHost, name: string): Promise<string[]> {
  const records = await dig(from, server, name, 'SRV')
  const addresses = new Map(
    records
      .filter(({ section, type }) => section === 'additional' && type === 'A')
      .map(({ name: owner, data }) => [owner, data]),
  )
  return records
    .filter(({ section, type }) => section === 'answer' && type === 'SRV')
    .map(({ data }) => {
      const [, , port = '', target = ''] = data.split(' ')
      return `${addresses.get(target) ?? `no address of ${target}`}:${port}`
    })
    .toSorted()
}

/** The body of a page, fetched from a host; throws what went wrong. */
export async function fetchFrom(host: TestHost, url: string): Promise<string> {
  return await host.mustExec(['curl', '-sS', '--fail', '--max-time', '3', url])
}
