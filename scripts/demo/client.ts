import { query } from '../../src/dns/query.ts'
import { TYPE } from '../../src/dns/records.ts'

/** An instance as a client finds it by DNS. */
export interface Instance {
  readonly address: string
  readonly port: number
  /** The records that say so. */
  readonly line: string
}

/** A DNS server. */
export interface Server {
  readonly address: string
  readonly port: number
  /** @default 2000 ms */
  readonly timeoutMs?: number
}

/** Finds the instances of an app as any client would: SRV, with the addresses that come along. */
export async function lookUp(server: Server, app: string): Promise<Instance[]> {
  const answer = await query(`_${app}._tcp.shoal`, TYPE.SRV, server)
  const addresses = new Map(
    answer.additionals.flatMap(record =>
      record.type === 'A' ? [[record.name, record.address] as const] : [],
    ),
  )
  return answer.answers.flatMap(record => {
    if (record.type !== 'SRV') return []
    const address = addresses.get(record.target)
    if (address === undefined) throw new Error(`DNS gave no address of ${record.target}`)
    const { port, target, name } = record
    return [{ address, port, line: `${name} SRV ${target}:${port}, ${target} A ${address}` }]
  })
}

/** Fetches every instance, and throws unless each says hello. */
export async function fetchAll(instances: readonly Instance[]): Promise<string[]> {
  return await Promise.all(
    instances.map(async ({ address, port }) => {
      const url = `http://${address}:${port}/`
      const response = await fetch(url, { signal: AbortSignal.timeout(5_000) })
      const text = (await response.text()).trim()
      if (!response.ok || !text.includes('hello')) {
        throw new Error(`${url} answered ${response.status} ${text}`)
      }
      return `GET ${url} → ${response.status} ${text}`
    }),
  )
}
