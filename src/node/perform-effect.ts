import type { Logger } from 'pino'
import { PUBLISH_BYTES_MAX, type Topic, type Transport } from '../gossip/transport.ts'
import { keepClientId, keepFence } from '../store/identity.ts'
import type { Store } from '../store/store.ts'
import type { EventLog } from './event-log.ts'
import type { ClusterEvent, Effect, GuardOrder, Message, NodeEvent } from './machine/events.ts'
import type { NodeMachine } from './machine/node-machine.ts'
import { encodeMessage } from './machine/wire.ts'
import type { Requests } from './requests.ts'
import type { TaskRunner } from './task-runner.ts'

/** The document is written anew when so many bytes of updates stand beside its snapshot. */
const COMPACT_BYTES = 1024 * 1024

/** What effects are carried out with. */
export interface PerformOptions {
  readonly machine: NodeMachine
  readonly store: Store
  readonly dataDir: string
  readonly transport: Transport
  readonly requests: Requests
  readonly runner: TaskRunner
  readonly events: EventLog
  readonly log: Logger
  /** Sees to it that tasks end at their time even without this daemon. */
  readonly guard: (orders: readonly GuardOrder[]) => void
  readonly push: (event: NodeEvent) => void
  /** This node must end, and without a good-bye. */
  readonly onHalt: (reason: string) => void
  /** Called when others were admitted or expelled. */
  readonly onAdmitted: () => void
}

/** Returns what carries out the machine's effects in the real world, and says what became of each. */
export function createPerform(options: PerformOptions): (effect: Effect) => void {
  const { store, transport, requests, runner, events, log, push } = options
  let isCompacting = false

  async function persist(token: number, update: Uint8Array): Promise<void> {
    try {
      await store.appendUpdate(update)
    } catch (error) {
      push({
        kind: 'persist-failed',
        token,
        reason: error instanceof Error ? error.message : String(error),
      })
      return
    }
    push({ kind: 'persisted', token })
    if (store.pendingBytes > COMPACT_BYTES && !isCompacting) await compact()
  }

  function keepWriter(clientId: number): void {
    try {
      keepClientId(options.dataDir, clientId)
    } catch (error) {
      // Nothing is written twice: after the next start the old number is doubted again, as it was now.
      log.warn({ err: error }, 'the new writer number could not be kept')
    }
  }

  async function compact(): Promise<void> {
    isCompacting = true
    try {
      await store.compact(options.machine.doc.snapshot())
    } catch (error) {
      // Nothing is lost: the updates are still there, and the next one tries again.
      log.warn({ err: error }, 'the document could not be compacted')
    } finally {
      isCompacting = false
    }
  }

  function rememberFence(fence: number): void {
    try {
      keepFence(options.dataDir, fence)
    } catch (error) {
      // It matters only if every other node forgets as well; to hold tasks back for it would be worse.
      log.warn({ err: error }, 'the highest fencing token could not be kept on the disk')
    }
  }

  function publish(message: Message): void {
    const bytes = encodeMessage(message)
    // What is too large for gossip goes to each node by anti-entropy.
    if (bytes.length > PUBLISH_BYTES_MAX) return
    transport.publish(topicOf(message), bytes)
  }

  function tell(event: ClusterEvent): void {
    events.add(event)
    const { kind, subject, text } = event
    if (kind === 'placement-mismatch') log.error({ kind, subject }, text)
    else if (kind === 'refused' || kind === 'document') log.warn({ kind, subject }, text)
    else log.info({ kind, subject }, text)
  }

  return effect => {
    switch (effect.kind) {
      case 'persist':
        return void persist(effect.token, effect.update)
      case 'reload':
        return push({ kind: 'reloaded', updates: store.readUpdates() })
      case 'keep-client-id':
        return keepWriter(effect.clientId)
      case 'keep-fence':
        return rememberFence(effect.fence)
      case 'publish':
        return publish(effect.message)
      case 'send':
        return transport.send(effect.to, encodeMessage(effect.message))
      case 'reply':
        return requests.reply(effect.request, effect.result)
      case 'admit':
        return options.onAdmitted()
      case 'tell':
        return tell(effect.event)
      case 'guard':
        return options.guard(effect.orders)
      case 'halt':
        return options.onHalt(effect.reason)
      case 'start':
      case 'stop':
      case 'remove':
      case 'probe':
        return runner.perform(effect)
    }
  }
}

function topicOf(message: Message): Topic {
  return message.kind === 'desired' ? 'desired' : 'observed'
}
