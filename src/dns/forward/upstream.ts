import { parseAddress } from '../address.ts'

/** A resolver that others run. */
export interface Upstream {
  /** An IP address, with its interface where a link-local one needs it (`fe80::1%eth0`). */
  readonly address: string
  readonly port: number
}

/** The port of DNS. */
const DNS_PORT = 53

/** An upstream as a person writes it, and as it is told apart from others: `10.0.0.1:53`, `[fe80::1%eth0]:5353`. */
export function formatUpstream({ address, port }: Upstream): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/**
 * Reads `10.0.0.1`, `10.0.0.1:5353`, `fe80::1%eth0`, `[::1]:5353`.
 *
 * @returns Nothing for whatever else.
 */
export function parseUpstream(text: string): Upstream | undefined {
  if (isAddress(text)) return { address: text, port: DNS_PORT }
  const [, bracketed, plain, digits] = /^(?:\[(.+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? []
  const address = bracketed ?? plain
  const port = Number(digits)
  if (address === undefined || !isAddress(address) || port < 1 || port > 65_535) return undefined
  return { address, port }
}

/**
 * The resolvers of a resolv.conf(5), in its order. Whatever else it says is for programs that
 * complete names, which a server never does.
 */
export function parseResolvConf(text: string): Upstream[] {
  return text
    .split('\n')
    .map(line => /^\s*nameserver\s+(\S+)/.exec(line)?.[1])
    .filter(address => address !== undefined && isAddress(address))
    .slice(0, UPSTREAMS_MAX)
    .map(address => ({ address: address!, port: DNS_PORT }))
}

/** More resolvers than this are not asked for one zone: the time for an answer is up before it is their turn. */
export const UPSTREAMS_MAX = 8

function isAddress(text: string): boolean {
  const [address, scope, ...rest] = text.split('%')
  const bytes = parseAddress(address!)
  if (bytes === undefined || rest.length > 0) return false
  return scope === undefined || (bytes.length === 16 && /^[\w.-]{1,15}$/.test(scope))
}
