import type { AppId, SlotId } from '../model/ids.ts'
import type { TaskPort } from '../model/task.ts'

/** A task as DNS sees it. */
export interface DnsTask {
  readonly slot: SlotId
  /** The slot's label below its app's name: its number, or its node in a `global` app. */
  readonly suffix: string
  /** IPv4 or IPv6. Anything else is never answered. */
  readonly address: string
  readonly ports: readonly TaskPort[]
  /** True when clients may be sent there: healthy, and on an alive node. */
  readonly serving: boolean
  /** The node's name. */
  readonly node: string
}

/** An app as DNS sees it. */
export interface DnsApp {
  readonly id: AppId
  /** More names for the app, one label each. */
  readonly aliases: readonly string[]
  readonly tasks: readonly DnsTask[]
}

/** A node as DNS sees it. */
export interface DnsNode {
  readonly name: string
  readonly address: string
  readonly alive: boolean
}

/** Everything that DNS answers from: desired apps, their tasks, and the nodes, after health and verdicts. */
export interface DnsView {
  /** The zone's own name, without the last dot: `shoal`. At most 100 characters. */
  readonly domain: string
  /** How long clients may keep an answer, and "there is no such name". */
  readonly ttlSeconds: number
  /** The zone's version (RFC 1982): 32 bits, wraps around. Each change adds one. */
  readonly serial: number
  /** The node that answers. */
  readonly self: { readonly name: string }
  readonly apps: readonly DnsApp[]
  readonly nodes: readonly DnsNode[]
}
