import type { EditResult } from './machine/events.ts'

/** Requests to the machine whose replies are awaited. */
export class Requests {
  readonly #waiting = new Map<number, (result: EditResult) => void>()
  #last = 0

  /** Makes a request: `send` gets its number, and the promise its reply. */
  async make(send: (request: number) => void): Promise<EditResult> {
    const request = ++this.#last
    const { promise, resolve } = Promise.withResolvers<EditResult>()
    this.#waiting.set(request, resolve)
    send(request)
    return await promise
  }

  /** Hands a reply to whoever waits for it. */
  reply(request: number, result: EditResult): void {
    this.#waiting.get(request)?.(result)
    this.#waiting.delete(request)
  }

  /** Answers everybody who still waits: the node stops. */
  close(): void {
    const reason = 'this node is stopping: ask another, or this one again when it is back'
    for (const request of this.#waiting.keys()) this.reply(request, { ok: false, reason })
  }
}
