/**
 * What a node keeps on its disk. Everything is durable when its promise
 * resolves (fsync), and a kill at any moment leaves a state that opens.
 */
export interface Store {
  /** The document as it was persisted: feed every piece to the document, in any order. */
  readUpdates(): Uint8Array[]
  /** Appends updates of the document. Resolves when they are on the disk; calls made meanwhile share one fsync. */
  appendUpdate(update: Uint8Array): Promise<void>
  /** How many bytes of updates stand beside the last snapshot: when large, call {@link Store.compact}. */
  readonly pendingBytes: number
  /** Replaces all updates so far by one whole document. */
  compact(snapshot: Uint8Array): Promise<void>
  /** A small value kept beside the document, such as the addresses of last time. */
  get(key: string): string | undefined
  set(key: string, value: string): void
  close(): Promise<void>
}

/** Why the disk could not be used. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly code: 'disk-full' | 'corrupt' | 'locked' | 'newer-version' | 'failed'
  readonly temporary: boolean

  constructor(
    code: StoreError['code'],
    message: string,
    options: { readonly temporary: boolean; readonly cause?: unknown },
  ) {
    super(message, { cause: options.cause })
    this.code = code
    this.temporary = options.temporary
  }
}
