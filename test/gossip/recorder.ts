import type { NodeId } from '../../src/model/ids.ts'
import type { Topic, TransportListener } from '../../src/gossip/transport.ts'

/** What a transport told its owner. */
export type Told =
  | { kind: 'published'; topic: Topic; from: NodeId; text: string }
  | { kind: 'sent'; from: NodeId; text: string }
  | { kind: 'connected' | 'disconnected'; node: NodeId }
  | { kind: 'refused' | 'turned-away'; node: NodeId; reason: string }
  | { kind: 'found'; node: NodeId; multiaddrs: readonly string[] }
  | { kind: 'called'; from: NodeId; service: string; admitted: boolean }
  | { kind: 'hung-up'; service: string }

/** Remembers what it is told, and lets a test wait for it. */
export interface Recorder {
  readonly listener: TransportListener
  readonly told: Told[]
  /** Waits until something told is right; fails after `withinMs`, saying what was told instead. */
  until(what: string, right: (told: Told) => boolean, withinMs?: number): Promise<Told>
  /** Forgets what was told so far. */
  clear(): void
}

type Answer = TransportListener['onCall']

/** A listener that answers calls with `onCall`. */
export function createRecorder(onCall: Answer = echo): Recorder {
  const told: Told[] = []
  const waiting = new Set<() => void>()
  function tell(event: Told): void {
    told.push(event)
    for (const look of waiting) look()
  }
  return {
    told,
    clear: () => void (told.length = 0),
    listener: {
      onPublished: (topic, from, bytes) =>
        tell({ kind: 'published', topic, from, text: textOf(bytes) }),
      onSent: (from, bytes) => tell({ kind: 'sent', from, text: textOf(bytes) }),
      onConnected: node => tell({ kind: 'connected', node }),
      onDisconnected: node => tell({ kind: 'disconnected', node }),
      onRefused: (node, reason) => tell({ kind: 'refused', node, reason }),
      onTurnedAway: (node, reason) => tell({ kind: 'turned-away', node, reason }),
      onFound: (node, multiaddrs) => tell({ kind: 'found', node, multiaddrs }),
      onCall: (call, signal) => {
        tell({ kind: 'called', from: call.from, service: call.service, admitted: call.admitted })
        signal.addEventListener('abort', () => tell({ kind: 'hung-up', service: call.service }))
        return onCall(call, signal)
      },
    },
    until: (what, right, withinMs = 8000) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(look)
          reject(new Error(`${what}: not within ${withinMs} ms; told ${JSON.stringify(told)}`))
        }, withinMs)
        function look(): void {
          const found = told.find(right)
          if (found === undefined) return
          clearTimeout(timer)
          waiting.delete(look)
          resolve(found)
        }
        waiting.add(look)
        look()
      }),
  }
}

/** Long messages by their ends and length, so that failures can be read. */
export function textOf(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString()
  return text.length <= 64 ? text : `${text.slice(0, 8)}…${text.length}…${text.slice(-8)}`
}

/** Answers with the body, in pieces of at most 100 kB. */
async function* echo({ body }: Parameters<Answer>[0]): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.length; at += 100_000) yield body.subarray(at, at + 100_000)
}
