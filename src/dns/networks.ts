import { parseAddress } from './address.ts'

/** A set of IP networks. */
export interface Networks {
  /** @param address 4 or 16 bytes. */
  has(address: Uint8Array): boolean
}

/** This machine to itself. */
export const LOOPBACK_NETWORKS: readonly string[] = ['127.0.0.0/8', '::1']

/**
 * Where clients of ours live when nobody says otherwise: addresses that the
 * Internet does not carry (RFC 1918, 3927, 4193, 4291, 6598), so that whoever
 * asks from there is at home here.
 */
export const PRIVATE_NETWORKS: readonly string[] = [
  ...LOOPBACK_NETWORKS,
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '169.254.0.0/16',
  '100.64.0.0/10',
  'fc00::/7',
  'fe80::/10',
]

/**
 * True for what {@link createNetworks} takes: an address, or one with the number of
 * its leading bits that count (`10.0.0.0/8`).
 */
export function isNetwork(text: string): boolean {
  return parseNetwork(text) !== undefined
}

/**
 * Makes a set of networks.
 *
 * @throws {RangeError} When one of them is none ({@link isNetwork}).
 */
export function createNetworks(texts: readonly string[]): Networks {
  const networks = texts.map(text => {
    const network = parseNetwork(text)
    if (network === undefined) throw new RangeError(`Not an IP network: ${text}`)
    return network
  })
  return { has: address => networks.some(network => contains(network, address)) }
}

interface Network {
  readonly bytes: Uint8Array
  readonly bits: number
}

function parseNetwork(text: string): Network | undefined {
  const [address, length, ...rest] = text.split('/')
  const bytes = parseAddress(address!)
  if (bytes === undefined || rest.length > 0) return undefined
  if (length === undefined) return { bytes, bits: 8 * bytes.length }
  if (!/^\d{1,3}$/.test(length) || Number(length) > 8 * bytes.length) return undefined
  return { bytes, bits: Number(length) }
}

function contains({ bytes, bits }: Network, address: Uint8Array): boolean {
  if (address.length !== bytes.length) return false
  const whole = bits >> 3
  for (let index = 0; index < whole; index++) {
    if (address[index] !== bytes[index]) return false
  }
  const shift = 8 - (bits & 7)
  return shift === 8 || address[whole]! >> shift === bytes[whole]! >> shift
}
