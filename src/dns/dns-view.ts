import type { AppId, SlotId, TaskId } from '../model/ids.ts'
import type { TaskPort } from '../model/task.ts'
import type { LabelRule } from './labels.ts'

/** A task as DNS sees it. */
export interface DnsTask {
  readonly task: TaskId
  readonly slot: SlotId
  /** The slot's label below its app's name: its number, or its node in a `global` app. */
  readonly suffix: string
  /** Where clients reach it, IPv4 or IPv6. Anything else is never answered. */
  readonly addresses: readonly string[]
  readonly ports: readonly TaskPort[]
  /** True when clients may be sent there: healthy, and on an alive node. */
  readonly serving: boolean
  /** True when it runs, healthy or not, on a node that is not known to be dead. */
  readonly running: boolean
  /** The node's name. */
  readonly node: string
  /** The node's zone, or an empty text. */
  readonly zone: string
  /** How much room its node has, from 1 to 100: the weight of its SRV records. */
  readonly weight: number
  /** Its state, for people: `healthy`, `node h2 is suspect`, `starting`. */
  readonly note: string
}

/** An app as DNS sees it. */
export interface DnsApp {
  readonly id: AppId
  /** More names for the app, one label each. */
  readonly aliases: readonly string[]
  readonly tasks: readonly DnsTask[]
  /** How many slots it is to have. */
  readonly wanted: number
  /** The first slots that have no task, and why not, for people. */
  readonly missing: readonly { readonly suffix: string; readonly reason: string }[]
}

/** A node as DNS sees it. */
export interface DnsNode {
  readonly name: string
  readonly addresses: readonly string[]
  readonly alive: boolean
  readonly zone: string
  /** The TCP port of its daemon. */
  readonly port: number
}

/** The second zone, with the names of Mesos-DNS for Marathon's apps. */
export interface MesosView {
  /** Its name, without the last dot: `mesos`. */
  readonly domain: string
  /** What labels may be: the rule that the clients' configurations were made by. */
  readonly rule: LabelRule
  /** The TCP port that `_leader._tcp` tells: that of our HTTP API. */
  readonly apiPort: number
}

/**
 * Everything that DNS answers from: desired apps, their tasks, and the nodes, after health
 * and verdicts. Plain data, so that a worker can hold a zone of its own.
 */
export interface DnsView {
  /** The zone's own name, without the last dot: `shoal`. At most 100 characters. */
  readonly domain: string
  /** No names of Mesos-DNS without it. */
  readonly mesos?: MesosView | undefined
  /** How long clients may keep an answer, and "there is no such name". */
  readonly ttlSeconds: number
  /** The zones' version (RFC 1982): 32 bits, wraps around. Each change adds one. */
  readonly serial: number
  /** The node that answers. */
  readonly self: { readonly name: string }
  readonly apps: readonly DnsApp[]
  readonly nodes: readonly DnsNode[]
}
