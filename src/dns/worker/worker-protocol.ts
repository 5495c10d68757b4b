import type { DnsView } from '../dns-view.ts'
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
  /** What cookies are made under: the same in all threads. */
  readonly cookieSecret: Uint8Array
  readonly identity: { readonly name: string; readonly version: string }
}

/** What a DNS thread is told. */
export type ToDnsWorker =
  /** Makes these changes in its zones. */
  | { readonly kind: 'changes'; readonly changes: readonly ZoneChange[] }
  /** Begins to answer: from here on what it says is to be true. */
  | { readonly kind: 'listen' }

/** What a DNS thread tells. */
export type FromDnsWorker =
  | { readonly kind: 'listening'; readonly port: number }
  /** The address or port cannot be had; `code` is the system's. */
  | { readonly kind: 'listen-failed'; readonly message: string; readonly code: string | undefined }
  /** Something for the operator. */
  | { readonly kind: 'log'; readonly message: string; readonly error?: Error }
