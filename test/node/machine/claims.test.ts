import fc from 'fast-check'
import t from 'tap'
import type { NodeId, SlotId } from '../../../src/model/ids.ts'
import type { Effect } from '../../../src/node/machine/events.ts'
import {
  Claims,
  CLOCK_RATE_ERROR,
  isClaimMessage,
  KILL_MS,
} from '../../../src/node/machine/claims.ts'
import { isMajority } from '../../../src/node/machine/majority.ts'
import { Witness, type Grant } from '../../../src/node/machine/witness.ts'
import { createRandom, type Random } from '../../../src/util/random.ts'

const [A, B, C, D] = ['a', 'b', 'c', 'd'] as NodeId[] as [NodeId, NodeId, NodeId, NodeId]
const SLOT = '/db.0' as SlotId
const TERM_MS = 20_000

t.test('a majority is more than half, or half with the first in order', async t => {
  const cases: [admitted: string, seen: string, is: boolean][] = [
    ['a', 'a', true],
    ['ab', 'a', true],
    ['ab', 'b', false],
    ['abc', 'a', false],
    ['abc', 'bc', true],
    ['abcd', 'ad', true],
    ['abcd', 'cd', false],
    ['abcd', 'bcd', true],
    ['abc', 'axyz', false],
  ]
  for (const [admitted, seen, is] of cases) {
    const sets = [seen, admitted].map(names => new Set(names as Iterable<NodeId>))
    t.equal(isMajority(sets[0]!, sets[1]!), is, `${seen} of ${admitted}`)
  }
})

t.test('any two majorities have a node in common', async t => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.constantFrom(...('abcdefgh' as Iterable<string>)), { minLength: 1 }),
      fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
      fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
      (names, one, other) => {
        const admitted = new Set(names as NodeId[])
        const [x, y] = [one, other].map(
          picks => new Set((names as NodeId[]).filter((_, index) => picks[index])),
        )
        if (!isMajority(x!, admitted) || !isMajority(y!, admitted)) return
        if (![...x!].some(node => y!.has(node))) throw new Error('two sides could both go on')
      },
    ),
    { numRuns: 2_000 },
  )
  t.pass()
})

t.test('a witness grants a slot to one node at a time, with ever higher tokens', async t => {
  const witness = new Witness({ isNew: true, nowMs: 0 })
  const ask = (from: NodeId, token: number, nowMs: number): Grant =>
    witness.judge(from, { slot: SLOT, token, termMs: TERM_MS, renews: false }, nowMs)
  t.match(ask(A, 5, 0), { ok: true, token: 5 })
  t.match(ask(B, 9, 1_000), { ok: false, token: 5, holder: A, leftMs: TERM_MS - 1_000 })
  t.match(ask(A, 5, 10_000), { ok: true }, 'the holder may ask again')
  t.match(ask(A, 4, 10_000), { ok: false }, 'but not with an older token')
  t.match(ask(B, 9, 29_999), { ok: false, holder: A }, 'which prolongs it')
  t.match(ask(B, 5, 30_000), { ok: false, token: 5 }, 'the next one needs a higher token')
  t.match(ask(B, 6, 30_000), { ok: true })
  witness.release(B, SLOT, 5, 31_000)
  t.match(ask(A, 9, 31_000), { ok: false }, 'a release of something else changes nothing')
  witness.release(A, SLOT, 6, 31_000)
  t.match(ask(A, 9, 31_000), { ok: false }, 'nor does a release by somebody else')
  witness.release(B, SLOT, 6, 31_000)
  t.match(ask(A, 6, 31_000), { ok: false, token: 6 }, 'a slot that is free remembers its token')
  t.match(ask(A, 7, 31_000), { ok: true })
  t.equal(witness.tokenMax, 7)
})

t.test('a witness that has forgotten vouches for nothing until its promises are over', async t => {
  const witness = new Witness({ isNew: false, nowMs: 0 })
  const claim = { slot: SLOT, token: 5, termMs: TERM_MS, renews: false }
  const refused = witness.judge(A, claim, TERM_MS - 1)
  t.match(refused, { ok: false, leftMs: 1 })
  t.notOk('holder' in refused)
  t.match(witness.judge(A, claim, TERM_MS), { ok: true })
  const other = { ...claim, slot: '/db.1' as SlotId, renews: true }
  t.match(new Witness({ isNew: false, nowMs: 0 }).judge(A, other, 1), { ok: true })
})

/** Some nodes with claims, on links that lose, delay and repeat, with clocks that run at different rates. */
class Cell {
  readonly random: Random
  readonly nodes = [A, B, C, D]
  readonly claims = new Map<NodeId, Claims>()
  readonly wanting = new Set<NodeId>()
  /** When, by the clock of all, a task of the holder may be there at the latest. */
  readonly endsAtMs = new Map<NodeId, number>()
  /** Tokens that tasks were started with, in the order of time. */
  readonly tokens: number[] = []
  readonly problems: string[] = []
  nowMs = 0
  readonly #rates = new Map<NodeId, number>()
  readonly #mail: { atMs: number; from: NodeId; to: NodeId; effect: Effect }[] = []
  readonly #running = new Map<NodeId, number>()
  cut: ReadonlySet<NodeId> = new Set()

  constructor(seed: number) {
    this.random = createRandom(seed)
    for (const node of this.nodes) {
      this.#rates.set(node, 1 + (this.random() - 0.5) * CLOCK_RATE_ERROR)
      this.restart(node, true)
    }
  }

  local(node: NodeId): number {
    return 1e6 + this.nowMs * this.#rates.get(node)!
  }

  restart(node: NodeId, isNew = false): void {
    const admitted = new Set(this.nodes)
    const nowMs = this.local(node)
    this.claims.set(
      node,
      new Claims({
        self: node,
        random: this.random,
        isNew,
        nowMs,
        kept: [],
        admitted: () => admitted,
        freshToken: () => Math.floor(this.local(node)),
      }),
    )
    this.#running.delete(node)
  }

  step(ms: number): void {
    this.nowMs += ms
    for (const letter of this.#mail.splice(0)) {
      if (letter.atMs > this.nowMs) this.#mail.push(letter)
      else this.#deliver(letter)
    }
    for (const node of this.nodes) this.#turn(node)
  }

  /** What a node does: it starts a task when it may, and ends it when it must. */
  #turn(node: NodeId): void {
    const claims = this.claims.get(node)!
    const nowMs = this.local(node)
    const runsTill = this.#running.get(node)
    const isOver = runsTill !== undefined && claims.endMs(SLOT) <= nowMs
    if (isOver || !this.wanting.has(node)) this.#running.delete(node)
    const wants = this.wanting.has(node) ? [{ slot: SLOT, lostAfterMs: 1_000, graceMs: 500 }] : []
    for (const effect of claims.follow(wants, new Set(), nowMs)) this.#post(node, effect)
    const held = claims.held(SLOT, nowMs)
    if (held === undefined || !this.wanting.has(node) || this.#running.has(node)) return
    for (const [other] of this.#running) {
      this.problems.push(`${node} starts at ${this.nowMs} while ${other} runs`)
    }
    for (const [other, endsAtMs] of this.endsAtMs) {
      if (other !== node && endsAtMs > this.nowMs) {
        this.problems.push(`${node} starts at ${this.nowMs}, ${other} may end at ${endsAtMs}`)
      }
    }
    if (held.token <= (this.tokens.at(-1) ?? -1)) this.problems.push(`token ${held.token} again`)
    this.tokens.push(held.token)
    this.#running.set(node, held.token)
  }

  /** The daemon of a node dies: its task runs on until the watchdog has ended it, and the engine its part. */
  crash(node: NodeId): void {
    if (this.#running.has(node)) {
      const leftMs = this.claims.get(node)!.endMs(SLOT) - this.local(node) + 500 + KILL_MS
      this.endsAtMs.set(node, this.nowMs + Math.max(0, leftMs / this.#rates.get(node)!))
    }
    this.wanting.delete(node)
    this.restart(node)
  }

  #post(from: NodeId, effect: Effect): void {
    if (effect.kind !== 'send') return
    const copies = this.random() < 0.2 ? 0 : this.random() < 0.1 ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      const late = this.random() < 0.1 ? 3_000 : 30
      const atMs = this.nowMs + late * this.random()
      this.#mail.push({ atMs, from, to: effect.to, effect })
    }
  }

  #deliver({ from, to, effect }: { from: NodeId; to: NodeId; effect: Effect }): void {
    if (effect.kind !== 'send' || !isClaimMessage(effect.message)) return
    if (this.cut.has(from) !== this.cut.has(to)) return
    const answers = this.claims.get(to)!.receive(from, effect.message, this.local(to))
    for (const answer of answers) this.#post(to, answer)
  }
}

t.test('no slot ever has two holders, whatever links, clocks and restarts do', async t => {
  let starts = 0
  for (let seed = 1; seed <= 150; seed++) {
    const cell = new Cell(seed)
    const { random, nodes } = cell
    for (let turn = 0; turn < 1_500; turn++) {
      cell.step(50 * random())
      const dice = random()
      const node = nodes[Math.floor(random() * nodes.length)]!
      if (dice < 0.01) cell.wanting.add(node)
      else if (dice < 0.012) cell.wanting.delete(node)
      else if (dice < 0.014) cell.cut = new Set(nodes.filter(() => random() < 0.4))
      else if (dice < 0.02) cell.cut = new Set()
      else if (dice < 0.0225) cell.crash(node)
    }
    t.strictSame(cell.problems.slice(0, 3), [], `seed ${seed}`)
    starts += cell.tokens.length
  }
  t.ok(starts > 150, `${starts} starts`)
})

t.test(
  'who is alone with its wish gets the slot at once, and a hand-over takes a moment',
  async t => {
    const cell = new Cell(1)
    cell.random() // Another seed's links lose the first message.
    cell.wanting.add(B)
    for (let turn = 0; turn < 400 && cell.tokens.length === 0; turn++) cell.step(10)
    t.ok(cell.nowMs < 2_500, `after ${cell.nowMs} ms`)
    cell.wanting.delete(B)
    cell.wanting.add(C)
    const sinceMs = cell.nowMs
    for (let turn = 0; turn < 1_000 && cell.tokens.length === 1; turn++) cell.step(10)
    t.ok(cell.nowMs - sinceMs < 5_000, `handed over in ${cell.nowMs - sinceMs} ms`)
    t.strictSame(cell.problems, [])
  },
)
