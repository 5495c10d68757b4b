import type { DnsView } from '../dns-view.ts'
import type { ForwardPlan } from '../forward/forward-plan.ts'
import type { ZoneChange } from '../zone-change.ts'

/** What a DNS thread is started with. All of it can be copied between threads. */
export interface DnsWorkerInit {
  /** The zones; apps and nodes follow as changes. */
  readonly view: DnsView
  readonly addresses: readonly string[]
  /** 0 takes a free one. */
  readonly port: number
  /** True when several threads share the port. */
  readonly reusePort: boolean
  /** Where it counts. */
  readonly tally: SharedArrayBuffer
  /** Networks, as text: see `ClientRules`. */
  readonly local: readonly string[]
  readonly home: readonly string[]
  readonly transfer: readonly string[]
  /** UDP answers to one network of strangers each second, of this thread alone; 0 limits nobody. */
  readonly answersPerSecond: number
  /** 32 bytes that cookies and the like are made under: the same in all threads. */
  readonly secret: Uint8Array
  /** Who is asked about other domains, and which file names the host's resolvers; nothing: nobody is asked. */
  readonly forward: { readonly plan: ForwardPlan; readonly resolvConf: string } | undefined
  readonly identity: { readonly name: string; readonly version: string }
}

/** What a DNS thread is told. */
export type ToDnsWorker =
  /** Makes these changes in its zones. */
  | { readonly kind: 'changes'; readonly changes: readonly ZoneChange[] }
  /** Another thread found that this resolver leads back to us. */
  | { readonly kind: 'looped'; readonly upstream: string }
  /** Begins to answer: from here on what it says is to be true. */
  | { readonly kind: 'listen' }

/** What a DNS thread tells. */
export type FromDnsWorker =
  | { readonly kind: 'listening'; readonly port: number }
  /** The address or port cannot be had; `code` is the system's. */
  | { readonly kind: 'listen-failed'; readonly message: string; readonly code: string | undefined }
  /** This resolver, by address and port, leads back to us. */
  | { readonly kind: 'looped'; readonly upstream: string }
  /** Something for the operator. */
  | { readonly kind: 'log'; readonly message: string; readonly error?: Error }
