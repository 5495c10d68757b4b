import type { NodeId, SlotId } from '../../model/ids.ts'
import type { NodeRecord } from '../../model/node-record.ts'
import { isFinal } from '../../model/task.ts'
import type { Gate } from '../../reconcile/plan.ts'
import { telling } from './document-desk.ts'
import type { Effect } from './events.ts'
import { createGate, type GateOptions } from './gate.ts'
import { HandOvers } from './hand-overs.ts'
import { isMajorityWithout } from './majority.ts'
import { MassLoss, type Brake } from './mass-loss.ts'
import type { Members } from './members.ts'
import type { ObservedBook } from './observed-book.ts'
import type { RecordStep } from './record-step.ts'
import { Stability } from './stability.ts'

/** Options of {@link Pace}. */
export interface PaceOptions {
  readonly self: NodeId
  readonly members: Members
  readonly book: Pick<ObservedBook, 'get' | 'records' | 'tasksOf'>
  readonly admitted: () => ReadonlySet<NodeId>
  /** How often the daemon was started in the ten minutes before. */
  readonly recentStarts: number
  readonly nowMs: number
}

/** What {@link Pace.gate} needs of the moment. */
export type GateMoment = Pick<
  GateOptions,
  'nowMs' | 'placed' | 'movesPerMinute' | 'isLeaving' | 'claims' | 'nameOf'
>

/** How fast work may move: the budget of hand-overs, the brake on a mass loss, and whether this node is there to stay. */
export class Pace {
  readonly #options: PaceOptions
  readonly #massLoss = new MassLoss()
  readonly #handOvers = new HandOvers()
  readonly #stability: Stability

  constructor(options: PaceOptions) {
    this.#options = options
    this.#stability = new Stability(options)
  }

  /** The mass-loss brake, while it is on. */
  get brake(): Brake | undefined {
    return this.#massLoss.brake
  }

  /** What this node says of itself in its record. */
  steadiness(nowMs: number): Pick<NodeRecord, 'steady' | 'flapping'> {
    return {
      steady: this.#stability.isSteady(nowMs),
      flapping: this.#stability.isFlapping(nowMs),
    }
  }

  /** When an answer here changes by time alone. */
  wakeAtMs(nowMs: number): number {
    return Math.min(this.#massLoss.wakeAtMs, this.#stability.wakeAtMs(nowMs))
  }

  /** True when the brake may come off by time alone. */
  isBrakeDue(nowMs: number): boolean {
    return nowMs >= this.#massLoss.wakeAtMs
  }

  /** Takes stock of who is there and who is lost. What it gives is worth telling, and changes what may start. */
  lookAround(nowMs: number): Effect[] {
    const { members, admitted } = this.#options
    const { dead, present, doubted } = members.census()
    // Who said good-bye is no reason to doubt oneself.
    this.#stability.see(isMajorityWithout(new Set(dead), admitted()), nowMs)
    const news = this.#massLoss.see(dead, { present, doubted }, nowMs)
    return news === undefined ? [] : [telling(nowMs, 'mass-loss', 'the cluster', news)]
  }

  /** Takes the step from one version of a node's record to the next: it may show a slot that moves. */
  seeMoves(step: RecordStep, placed: ReadonlyMap<SlotId, NodeId>, nowMs: number): void {
    if (step.tasks.length === 0) return
    const { members, book } = this.#options
    const hasOther = (slot: SlotId, than: NodeId): boolean =>
      book
        .tasksOf(slot)
        .some(({ node, task }) => node !== than && members.isPresent(node) && !isFinal(task.state))
    this.#handOvers.see(step, { placed }, hasOther, nowMs)
  }

  /** What the state of the cluster allows this node to do now. */
  gate(moment: GateMoment): Gate {
    const { self, members, book } = this.#options
    return createGate({
      self,
      members,
      book,
      massLoss: this.#massLoss,
      handOvers: this.#handOvers,
      stability: this.#stability,
      ...moment,
    })
  }
}
