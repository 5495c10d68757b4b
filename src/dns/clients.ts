import { parseAddress } from './address.ts'
import type { Networks } from './networks.ts'

/** What is known of a client by its address alone. */
export interface Client {
  /** 4 or 16 bytes; none where the address could not be read. */
  readonly address: Uint8Array
  /** True on this machine: no packet of it comes from outside. */
  readonly isLocal: boolean
  /** True in the networks that clients of ours live in: they may ask for other domains, and are limited less. */
  readonly isHome: boolean
  /** True where the whole zone may be read. */
  readonly mayTransfer: boolean
  /** A number of the client's network, /24 or /56: those are the smallest that are given to one customer. Two networks may share one. */
  readonly network: number
}

/** A client that nothing is known of, and that may nothing but ask. */
export const ANYBODY: Client = {
  address: new Uint8Array(0),
  isLocal: false,
  isHome: false,
  mayTransfer: false,
  network: 0,
}

/** Who may what. */
export interface ClientRules {
  /** This machine's own addresses, loopback included. */
  readonly local: Networks
  /** Where clients of ours live; this machine is always one. */
  readonly home: Networks
  /** Where whole zones may be read from. */
  readonly transfer: Networks
  /** Any number that is kept from clients: with it they cannot work out which networks share a number. */
  readonly seed: number
}

/** So many addresses are remembered; then all are forgotten and looked at anew, for some 1 µs each. */
const CLIENTS_MAX = 4_096

/** Looks clients up by the text of their address, quickly for those that were here lately. */
export function createClients(rules: ClientRules): (address: string) => Client {
  const known = new Map<string, Client>()
  let last = describe('', rules)
  let lastAddress = ''

  return address => {
    if (address === lastAddress) return last
    let client = known.get(address)
    if (client === undefined) {
      client = describe(address, rules)
      if (known.size >= CLIENTS_MAX) known.clear()
      known.set(address, client)
    }
    lastAddress = address
    last = client
    return client
  }
}

function describe(text: string, { local, home, transfer, seed }: ClientRules): Client {
  const [plain] = text.replace(/^::ffff:(?=\d+\.)/, '').split('%')
  const address = parseAddress(plain!) ?? new Uint8Array(0)
  const isLocal = local.has(address)
  return {
    address,
    isLocal,
    isHome: isLocal || home.has(address),
    mayTransfer: transfer.has(address),
    network: hash(address.subarray(0, address.length === 4 ? 3 : 7), seed),
  }
}

/** FNV-1a, then the finish of MurmurHash3, so that neighbours are far apart. 32 bits. */
function hash(bytes: Uint8Array, seed: number): number {
  let value = seed ^ 0x811c9dc5
  for (const byte of bytes) value = Math.imul(value ^ byte, 0x01000193)
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35)
  return (value ^ (value >>> 16)) >>> 0
}
