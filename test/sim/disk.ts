import type { Random } from '../../src/util/random.ts'

interface Write {
  readonly token: number
  readonly update: Uint8Array
}

/**
 * What a simulated machine keeps when its daemon, or its power, goes: the document's
 * updates in order, the writer's id, and how often the daemon was started.
 */
export class SimDisk {
  clientId: number
  starts = 0
  fence = 0
  /** Refuses every write while true. */
  isFull = false
  /** Each write takes so much longer. */
  slowMs = 0
  /** True once an older state was put back. */
  isRestored = false
  #durable: readonly Uint8Array[]
  #pending: Write[] = []

  constructor(clientId: number, durable: readonly Uint8Array[]) {
    this.clientId = clientId
    this.#durable = durable
  }

  /** All that is on it now, as `cp -a` of a running daemon's folder finds it. */
  copy(): SimDisk {
    const copy = new SimDisk(this.clientId, this.#durable)
    copy.starts = this.starts
    copy.fence = this.fence
    return copy
  }

  /** Puts a copy back: everything since is gone. */
  restore(backup: SimDisk): void {
    this.clientId = backup.clientId
    this.starts = backup.starts
    this.fence = backup.fence
    this.#durable = backup.#durable
    this.#pending = []
    this.isRestored = true
  }

  /** What a daemon that starts now reads. */
  read(): readonly Uint8Array[] {
    return this.#durable
  }

  /** Begins a write; {@link SimDisk.finish} ends the oldest one. */
  begin(token: number, update: Uint8Array): void {
    this.#pending.push({ token, update })
  }

  /** Ends the oldest write: durable, or refused. */
  finish(): { readonly token: number; readonly ok: boolean } {
    const write = this.#pending.shift()
    if (write === undefined) throw new Error('No write is under way')
    if (this.isFull) return { token: write.token, ok: false }
    this.#durable = [...this.#durable, write.update]
    return { token: write.token, ok: true }
  }

  /** The daemon or the power is gone: of the writes under way some made it, the older first. */
  crash(random: Random): void {
    const survive = this.isFull ? 0 : Math.floor(random() * (this.#pending.length + 1))
    const survivors = this.#pending.slice(0, survive).map(({ update }) => update)
    this.#durable = [...this.#durable, ...survivors]
    this.#pending = []
  }

  /** Replaces all that is durable by one snapshot of it. */
  compact(snapshot: Uint8Array): void {
    if (this.#pending.length === 0) this.#durable = [snapshot]
  }
}
