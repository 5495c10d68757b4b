import t from 'tap'
import type {
  ProbeAddress,
  SwimMessage,
  SwimUpdate,
} from '../../../src/gossip/liveness/swim-message.ts'
import { swimOptions } from '../../../src/gossip/liveness/swim-options.ts'
import type { SwimEffect } from '../../../src/gossip/liveness/swim-event.ts'
import { INCARNATIONS_PER_START, Swim } from '../../../src/gossip/liveness/swim.ts'
import type { NodeId } from '../../../src/model/ids.ts'
import type { VerdictKind } from '../../../src/model/verdict.ts'
import { createRandom } from '../../../src/util/random.ts'

const SELF = 'self' as NodeId
const A = 'a' as NodeId
const B = 'b' as NodeId
const X = 'x' as NodeId
const MEMBERS = new Map([A, B, X].map((node, i) => [node, at(i)] as const))

function at(port: number): ProbeAddress {
  return { address: '10.0.0.1', port }
}

function create(): Swim {
  const swim = new Swim({
    self: SELF,
    incarnation: 1,
    options: swimOptions('lan'),
    random: createRandom(1),
    nowMs: 0,
  })
  swim.handle({ kind: 'members', members: MEMBERS }, 0)
  return swim
}

function update(kind: VerdictKind, node: NodeId, incarnation: number, by = B): SwimUpdate {
  return kind === 'suspect' ? { kind, node, incarnation, by } : { kind, node, incarnation }
}

/** Tells `swim` something, as gossip from A, whose own incarnation is 1. */
function tell(swim: Swim, nowMs: number, ...updates: SwimUpdate[]): SwimEffect[] {
  const message: SwimMessage = { kind: 'gossip', seq: 0, incarnation: 1, updates }
  return swim.handle({ kind: 'received', from: A, message }, nowMs)
}

/** Lets time pass, with every tick when it is due. */
function pass(swim: Swim, toMs: number): void {
  while (swim.wakeAtMs < toMs) swim.handle({ kind: 'tick' }, swim.wakeAtMs)
}

/** Accused by so many that the shortest suspicion is enough: 1.2 s. */
function accusedByAll(node: NodeId): SwimUpdate[] {
  return ['b', 'c', 'd'].map(by => update('suspect', node, 1, by as NodeId))
}

/** A tick, after which the nodes with these incarnations answer whatever they were probed with. */
function tickAnswered(swim: Swim, nowMs: number, alive: ReadonlyMap<NodeId, number>): void {
  for (const { to, message } of sends(swim.handle({ kind: 'tick' }, nowMs))) {
    const incarnation = alive.get(to)
    if (incarnation === undefined || message.kind !== 'probe') continue
    const ack: SwimMessage = { kind: 'ack', seq: message.seq, incarnation, updates: [] }
    swim.handle({ kind: 'received', from: to, message: ack }, nowMs)
  }
}

function verdictsOf(effects: readonly SwimEffect[]): SwimEffect[] {
  return effects.filter(({ kind }) => kind === 'verdict')
}

function sends(effects: readonly SwimEffect[]): { to: NodeId; message: SwimMessage }[] {
  return effects.flatMap(effect => (effect.kind === 'send' ? [effect] : []))
}

t.test('of two updates the higher incarnation wins, then the worse news', async t => {
  // SWIM, section 4.2, with `left` on top, and with death only of those who were suspect for a while.
  const cases = [
    { held: 'alive 5', heard: 'alive 5', result: 'alive 5' },
    { held: 'alive 5', heard: 'alive 6', result: 'alive 6' },
    { held: 'alive 5', heard: 'alive 4', result: 'alive 5' },
    { held: 'alive 5', heard: 'suspect 4', result: 'alive 5' },
    { held: 'alive 5', heard: 'suspect 5', result: 'suspect 5' },
    { held: 'alive 5', heard: 'suspect 6', result: 'suspect 6' },
    { held: 'alive 5', heard: 'dead 4', result: 'alive 5' },
    { held: 'alive 5', heard: 'dead 5', result: 'suspect 5' },
    { held: 'alive 5', heard: 'dead 6', result: 'suspect 6' },
    { held: 'alive 5', heard: 'left 4', result: 'alive 5' },
    { held: 'alive 5', heard: 'left 5', result: 'left 5' },
    { held: 'suspect 5', heard: 'alive 5', result: 'suspect 5' },
    { held: 'suspect 5', heard: 'alive 6', result: 'alive 6' },
    { held: 'suspect 5', heard: 'suspect 4', result: 'suspect 5' },
    { held: 'suspect 5', heard: 'suspect 6', result: 'suspect 6' },
    { held: 'suspect 5', heard: 'dead 5', result: 'suspect 5' },
    { held: 'suspect 5', heard: 'dead 5', afterMs: 700, result: 'dead 5' },
    { held: 'suspect 5', heard: 'left 5', result: 'left 5' },
    { held: 'dead 5', heard: 'alive 5', result: 'dead 5' },
    { held: 'dead 5', heard: 'suspect 5', result: 'dead 5' },
    { held: 'dead 5', heard: 'alive 6', result: 'alive 6' },
    { held: 'dead 5', heard: 'suspect 6', result: 'suspect 6' },
    { held: 'dead 5', heard: 'dead 6', result: 'dead 6' },
    { held: 'dead 5', heard: 'left 5', result: 'left 5' },
    { held: 'left 5', heard: 'alive 5', result: 'left 5' },
    { held: 'left 5', heard: 'dead 5', result: 'left 5' },
    { held: 'left 5', heard: 'alive 6', result: 'alive 6' },
    { held: 'unseen', heard: 'alive 0', result: 'alive 0' },
    { held: 'unseen', heard: 'suspect 5', result: 'suspect 5' },
    { held: 'unseen', heard: 'dead 5', result: 'dead 5' },
    { held: 'unseen', heard: 'left 5', result: 'left 5' },
  ]
  for (const { held, heard, afterMs = 0, result } of cases) {
    const swim = create()
    if (held !== 'unseen') tell(swim, 1, parse(held))
    pass(swim, 1 + afterMs)
    tell(swim, 1 + afterMs, parse(heard))
    const { kind, incarnation } = swim.verdictOf(X)!
    t.equal(`${kind} ${incarnation}`, result, `${held}, then ${heard} after ${afterMs} ms`)
  }
})

function parse(text: string): SwimUpdate {
  const [kind, incarnation] = text.split(' ')
  return update(kind as VerdictKind, X, Number(incarnation))
}

t.test('an admitted node that nothing was heard of counts as dead, until it is heard', async t => {
  const swim = create()
  t.same(swim.verdictOf(X), { node: X, kind: 'dead', incarnation: 0 })
  t.equal(swim.verdictOf('other' as NodeId), undefined, 'others have no verdict')
  const message: SwimMessage = { kind: 'ack', seq: 1, incarnation: 3, updates: [] }
  const effects = swim.handle({ kind: 'received', from: X, message }, 10)
  const verdict = { node: X, kind: 'alive', incarnation: 3 }
  t.same(effects[0], { kind: 'verdict', verdict })
  t.same(swim.verdictOf(X), verdict)
  t.same(swim.verdictOf(SELF), { node: SELF, kind: 'alive', incarnation: INCARNATIONS_PER_START })
})

t.test('whatever is said against this node is refuted at once, one incarnation higher', async t => {
  const own = INCARNATIONS_PER_START
  const cases = [
    { heard: update('suspect', SELF, own), result: own + 1 },
    { heard: update('dead', SELF, own), result: own + 1 },
    { heard: update('left', SELF, own), result: own + 1 },
    { heard: update('alive', SELF, own + 7), result: own + 8 },
    { heard: update('dead', SELF, own + 7), result: own + 8 },
    { heard: update('alive', SELF, own), result: own },
    { heard: update('suspect', SELF, own - 1), result: own },
  ]
  for (const { heard, result } of cases) {
    const swim = create()
    tell(swim, 1, update('alive', B, 1))
    const messages = sends(tell(swim, 2, heard))
    const name = `${heard.kind} ${heard.incarnation}`
    t.equal(swim.incarnation, result, name)
    if (result === own) continue
    const told = heard.kind === 'suspect' ? [A, B] : [A]
    t.same(
      messages.map(({ to }) => to),
      told,
      `${name}: the teller and the accuser are told`,
    )
    const refutation = update('alive', SELF, result)
    for (const { message } of messages) t.has(message.updates, [refutation], name)
  }
})

t.test(
  'a probe is answered to where it came from, with what is held against its sender',
  async t => {
    const swim = create()
    tell(swim, 1, update('alive', X, 5), update('suspect', X, 5))
    const message: SwimMessage = { kind: 'probe', seq: 9, incarnation: 5, updates: [] }
    const effects = swim.handle({ kind: 'received', from: X, route: at(99), message }, 2)
    const accusation = update('suspect', X, 5, SELF)
    t.match(effects, [{ kind: 'send', to: X, address: at(99), message: { kind: 'ack', seq: 9 } }])
    t.same(sends(effects)[0]?.message.updates[0], accusation)
  },
)

t.test('who still accuses after a refutation is told of it', async t => {
  const swim = create()
  tell(swim, 1, update('alive', X, 6))
  const [reply] = sends(tell(swim, 2, update('suspect', X, 5)))
  t.equal(reply?.to, A)
  t.same(reply?.message.updates[0], update('alive', X, 6))
})

t.test('a helper probes for another, and says either way that it tried', async t => {
  const ask: SwimMessage = { kind: 'ask', seq: 77, incarnation: 1, target: X, updates: [] }
  const swim = create()
  tell(swim, 1, update('alive', X, 5))
  const [probe] = sends(swim.handle({ kind: 'received', from: A, message: ask }, 2))
  t.match(probe, { to: X, message: { kind: 'probe' } })
  const { seq } = probe!.message
  const answer: SwimMessage = { kind: 'ack', seq, incarnation: 5, updates: [] }
  const forged = swim.handle({ kind: 'received', from: B, message: answer }, 3)
  t.notOk(
    sends(forged).some(({ message }) => message.kind === 'ack'),
    'only the target can answer',
  )
  const acked = sends(swim.handle({ kind: 'received', from: X, message: answer }, 3))
  t.match(acked, [{ to: A, message: { kind: 'ack', seq: 77 } }])

  swim.handle({ kind: 'received', from: A, message: { ...ask, seq: 78 } }, 10)
  const late = sends(swim.handle({ kind: 'tick' }, 10 + 0.8 * swimOptions('lan').probeTimeoutMs))
  t.ok(late.some(({ to, message }) => to === A && message.kind === 'nack' && message.seq === 78))
})

t.test('a closed connection is a suspicion, and the accused is asked at once', async t => {
  const swim = create()
  tell(swim, 1, update('alive', X, 5))
  const effects = swim.handle({ kind: 'connection-lost', node: X }, 2)
  t.equal(swim.verdictOf(X)?.kind, 'suspect')
  const probe = sends(effects).find(({ message }) => message.kind === 'probe')
  t.same(probe?.message.updates[0], update('suspect', X, 5, SELF))
  swim.handle({ kind: 'connection-lost', node: 'other' as NodeId }, 3)
})

t.test('connections that closed while this node slept accuse nobody', async t => {
  const swim = create()
  tell(swim, 1, update('alive', X, 5))
  pass(swim, 100)
  const wokeAtMs = swim.wakeAtMs + 5000
  const alive = new Map([
    [A, 1],
    [X, 5],
  ])
  tickAnswered(swim, wokeAtMs, alive)
  t.equal(swim.stalls, 1)
  while (swim.wakeAtMs < wokeAtMs + 2000) tickAnswered(swim, swim.wakeAtMs, alive)
  t.equal(swim.health, 0, 'all seems well again')
  const heard = swim.handle({ kind: 'connection-lost', node: X }, swim.wakeAtMs)
  t.equal(swim.verdictOf(X)?.kind, 'alive')
  t.match(sends(heard), [{ to: X, message: { kind: 'probe' } }], 'but it is asked')
})

t.test('when all connections close together, this node doubts itself', async t => {
  const members = new Map(Array.from({ length: 8 }, (_, i) => [`n${i}` as NodeId, at(i)]))
  const swim = new Swim({
    self: SELF,
    incarnation: 1,
    options: swimOptions(),
    random: createRandom(1),
    nowMs: 0,
  })
  swim.handle({ kind: 'members', members }, 0)
  const message: SwimMessage = { kind: 'gossip', seq: 0, incarnation: 1, updates: [] }
  for (const from of members.keys()) swim.handle({ kind: 'received', from, message }, 1)
  for (const node of members.keys()) swim.handle({ kind: 'connection-lost', node }, 2)
  t.equal(swim.verdicts().filter(({ kind }) => kind === 'suspect').length, 3)
})

t.test('messages of nodes that are not members, and news of them, change nothing', async t => {
  const swim = create()
  const before = swim.verdicts()
  const other = 'other' as NodeId
  const message: SwimMessage = { kind: 'probe', seq: 1, incarnation: 1, updates: [] }
  t.same(swim.handle({ kind: 'received', from: other, message }, 1), [])
  tell(swim, 1, update('alive', A, 1), update('dead', other, 4))
  t.same(
    swim.verdicts().filter(({ node }) => node !== A),
    before.filter(({ node }) => node !== A),
  )
})

t.test('a node that is no longer admitted is forgotten', async t => {
  const swim = create()
  tell(swim, 1, update('alive', X, 5), update('suspect', X, 5))
  swim.handle({ kind: 'members', members: new Map([[A, at(0)]]) }, 2)
  t.equal(swim.verdictOf(X), undefined)
  t.equal(swim.verdicts().length, 2)
})

t.test('after good-bye nothing is answered, and there is an end to it', async t => {
  const swim = create()
  tell(swim, 1, update('alive', X, 5))
  const first = sends(swim.handle({ kind: 'leaving' }, 2))
  const left = update('left', SELF, INCARNATIONS_PER_START)
  t.same(first.map(({ to }) => to).toSorted(), [A, X])
  for (const { message } of first) t.same(message.updates, [left])
  t.same(tell(swim, 3, left), [], 'no refutation')
  for (let round = 0; swim.wakeAtMs < Infinity; round++) {
    t.ok(round < 5)
    swim.handle({ kind: 'tick' }, swim.wakeAtMs)
  }
  t.equal(swim.verdictOf(SELF)?.kind, 'left')
})

t.test('after a stall nobody is accused for what happened meanwhile', async t => {
  const swim = create()
  tell(swim, 1, update('alive', A, 1), update('alive', B, 1), update('suspect', X, 1))
  pass(swim, 500) // A probe is in flight, and a suspicion is open.
  const health = swim.health
  const effects = swim.handle({ kind: 'tick' }, swim.wakeAtMs + 60_000)
  t.same(
    effects.filter(({ kind }) => kind === 'verdict'),
    [],
  )
  t.equal(swim.stalls, 1)
  t.equal(swim.health, health + 1)
})

t.test('a node that slept judges nobody before somebody answers it', async t => {
  const swim = create()
  tell(swim, 1, update('alive', A, 1), update('alive', B, 1), ...accusedByAll(X))
  pass(swim, 500)
  const wokeAtMs = swim.wakeAtMs + 60_000
  const effects = swim.handle({ kind: 'tick' }, wokeAtMs)
  // What lay in its buffers comes now: it says nothing of how things are.
  effects.push(...tell(swim, wokeAtMs, update('alive', B, 1)))
  while (swim.wakeAtMs < wokeAtMs + 1500) {
    t.ok(swim.wakeAtMs >= wokeAtMs, 'it does not spin')
    effects.push(...swim.handle({ kind: 'tick' }, swim.wakeAtMs))
  }
  t.same(verdictsOf(effects), [], 'probes failed, and a suspicion ran out: neither counts')
  t.notOk(
    sends(effects).some(({ message }) =>
      message.updates.some(({ kind, node }) => kind === 'suspect' && node !== X),
    ),
  )
  const late: SwimEffect[] = []
  while (swim.wakeAtMs < wokeAtMs + 10_000) {
    late.push(...swim.handle({ kind: 'tick' }, swim.wakeAtMs))
  }
  t.ok(verdictsOf(late).length > 0, 'silence in the end says that it is cut off')
  t.same(
    sends(late).filter(({ to, message }) =>
      message.updates.some(({ node }) => node !== X && node !== to),
    ),
    [],
    'which the accused are told, and nobody else',
  )
})

t.test('a node that slept judges again as soon as somebody answers it', async t => {
  const swim = create()
  tell(swim, 1, update('alive', A, 1), update('alive', B, 1), update('suspect', X, 1))
  pass(swim, 500)
  const wokeAtMs = swim.wakeAtMs + 60_000
  swim.handle({ kind: 'tick' }, wokeAtMs)
  // From here on A answers all that it is asked, and nobody else does.
  let effects: SwimEffect[] = []
  const verdicts: string[] = []
  for (let turn = 0; turn < 200 && verdicts.length === 0; turn++) {
    const nowMs = swim.wakeAtMs
    effects = swim.handle({ kind: 'tick' }, nowMs)
    for (const { to, message } of sends(effects)) {
      if (to !== A || (message.kind !== 'probe' && message.kind !== 'ask')) continue
      const kind = message.kind === 'probe' ? 'ack' : 'nack'
      const answer: SwimMessage = { kind, seq: message.seq, incarnation: 1, updates: [] }
      effects.push(...swim.handle({ kind: 'received', from: A, message: answer }, nowMs + 1))
    }
    for (const effect of effects) {
      if (effect.kind === 'verdict') verdicts.push(effect.verdict.kind)
    }
  }
  t.match(verdicts, [/suspect|dead/])
  t.ok(swim.wakeAtMs < wokeAtMs + 1500, 'sooner than silence would have it')
})

t.test('a node that slept believes a nack, too', async t => {
  const swim = create()
  tell(swim, 1, update('alive', A, 1), update('alive', B, 1), ...accusedByAll(X))
  pass(swim, 500)
  const wokeAtMs = swim.wakeAtMs + 60_000
  let nowMs = wokeAtMs
  const verdicts: { node: NodeId; kind: string; atMs: number }[] = []
  while (nowMs < wokeAtMs + 1400) {
    const effects = swim.handle({ kind: 'tick' }, nowMs)
    for (const { to, message } of sends(effects)) {
      // B only says that it tried: it lives, and whom it was asked for does not answer it either.
      if (to !== B || message.kind !== 'ask') continue
      const nack: SwimMessage = { kind: 'nack', seq: message.seq, incarnation: 1, updates: [] }
      effects.push(...swim.handle({ kind: 'received', from: B, message: nack }, nowMs))
    }
    for (const effect of effects) {
      if (effect.kind === 'verdict') verdicts.push({ ...effect.verdict, atMs: nowMs - wokeAtMs })
    }
    nowMs = swim.wakeAtMs
  }
  const death = verdicts.find(({ node, kind }) => node === X && kind === 'dead')
  t.ok(death !== undefined && death.atMs >= 500, JSON.stringify(verdicts))
})

t.test('a node that slept gives the accused the time back', async t => {
  const swim = create()
  tell(swim, 1, update('alive', A, 1), update('alive', B, 1), update('suspect', X, 1))
  pass(swim, 500)
  const wokeAtMs = swim.wakeAtMs + 60_000
  const alive = new Map([
    [A, 1],
    [B, 1],
  ])
  tickAnswered(swim, wokeAtMs, alive)
  while (swim.wakeAtMs < wokeAtMs + 2000) tickAnswered(swim, swim.wakeAtMs, alive)
  t.equal(swim.verdictOf(X)?.kind, 'suspect', 'most of its time is left')
  while (swim.wakeAtMs < wokeAtMs + 8000) tickAnswered(swim, swim.wakeAtMs, alive)
  t.equal(swim.verdictOf(X)?.kind, 'dead')
})

t.test('the accused is asked a last time, and others what they know', async t => {
  const swim = create()
  tell(swim, 1, update('alive', A, 1), update('alive', B, 1), ...accusedByAll(X))
  const alive = new Map([
    [A, 1],
    [B, 1],
  ])
  const last: string[] = []
  while (swim.verdictOf(X)?.kind !== 'dead') {
    const nowMs = swim.wakeAtMs
    const effects = swim.handle({ kind: 'tick' }, nowMs)
    const told = sends(effects).filter(({ to, message }) =>
      to === X ? message.kind === 'probe' : message.updates.some(({ node }) => node === X),
    )
    if (nowMs >= 1000 && nowMs < 1200) last.push(...told.map(({ to }) => to))
    for (const { to, message } of sends(effects)) {
      const incarnation = alive.get(to)
      if (incarnation === undefined || message.kind !== 'probe') continue
      const ack: SwimMessage = { kind: 'ack', seq: message.seq, incarnation, updates: [] }
      swim.handle({ kind: 'received', from: to, message: ack }, nowMs)
    }
  }
  t.ok(last.includes(X), `told in the last moment: ${last.join(' ')}`)
  t.ok(last.includes(A) || last.includes(B))
})

t.test('who suspects a node that is dead here is told so', async t => {
  const swim = create()
  tell(swim, 1, update('alive', A, 1), update('dead', X, 5))
  const [reply] = sends(tell(swim, 2, update('suspect', X, 5)))
  t.equal(reply?.to, A)
  t.same(reply?.message.updates[0], update('dead', X, 5))
})

t.test('who looks for lost nodes is told who lives', async t => {
  const swim = create()
  tell(swim, 1, update('alive', A, 1), update('alive', X, 5), update('suspect', B, 2))
  const probe = { kind: 'probe', incarnation: 1, updates: [] } as const
  const ask = (seq: number): unknown[] =>
    sends(swim.handle({ kind: 'received', from: A, message: { ...probe, seq } }, 2))
      .filter(({ message }) => message.kind === 'gossip')
      .map(({ message }) => message.updates.filter(({ node }) => node !== B))
  t.same(ask(0), [[update('alive', X, 5)]], 'and nothing bad of anybody')
  t.same(ask(7), [])
})

t.test('who heard nobody since it asked takes the fault to be its own', async t => {
  const swim = create()
  tell(swim, 1, update('alive', A, 1), update('alive', B, 1), update('alive', X, 1))
  const before: SwimEffect[] = []
  const silentAtMs = 1 + 5 * 300
  while (swim.wakeAtMs < silentAtMs) before.push(...swim.handle({ kind: 'tick' }, swim.wakeAtMs))
  t.same(
    before.filter(({ kind }) => kind === 'verdict'),
    [],
    'no probe was answered, and nobody is accused',
  )
  t.ok(swim.health > 0)
  swim.handle({ kind: 'tick' }, silentAtMs)
  t.equal(swim.verdictOf(X)?.kind, 'suspect', 'silence: it is cut off')
})

t.test('who does not answer a datagram in time is asked by stream', async t => {
  const swim = create()
  tell(swim, 1, update('alive', A, 1))
  swim.handle({ kind: 'connection-up', node: A }, 2)
  const reached: string[] = []
  let streams = 0
  for (let turn = 0; turn < 100 && reached.length === 0; turn++) {
    const nowMs = swim.wakeAtMs
    for (const effect of swim.handle({ kind: 'tick' }, nowMs)) {
      if (effect.kind !== 'stream' || effect.message.kind !== 'probe') continue
      streams++
      const answer: SwimMessage = {
        kind: 'ack',
        seq: effect.message.seq,
        incarnation: 1,
        updates: [],
      }
      const heard = swim.handle(
        { kind: 'received', from: A, route: 'stream', message: answer },
        nowMs + 5,
      )
      for (const { by } of heard.filter(({ kind }) => kind === 'reached') as { by: string }[]) {
        reached.push(by)
      }
    }
    t.equal(swim.verdictOf(A)?.kind, 'alive')
  }
  t.same(reached, ['stream'])
  t.equal(streams, 3, 'a loss or two say nothing of the network')

  // From now on it goes both ways at once, and a datagram that is answered ends it.
  let both: SwimEffect[] = []
  while (!both.some(({ kind }) => kind === 'stream')) {
    both = swim.handle({ kind: 'tick' }, swim.wakeAtMs)
  }
  const probe = sends(both).find(({ message }) => message.kind === 'probe')
  t.equal(probe?.to, A)
  const answer: SwimMessage = { kind: 'ack', seq: probe!.message.seq, incarnation: 1, updates: [] }
  const heard = swim.handle(
    { kind: 'received', from: A, route: at(0), message: answer },
    swim.wakeAtMs,
  )
  t.match(heard, [{ kind: 'reached', node: A, by: 'datagram' }])
})

t.test('what is held up in this node’s own main thread accuses nobody', async t => {
  const swim = new Swim({
    self: SELF,
    incarnation: 1,
    options: swimOptions('lan'),
    random: createRandom(1),
    nowMs: 0,
  })
  swim.handle({ kind: 'members', members: new Map([[A, undefined]]) }, 0)
  swim.handle({ kind: 'connection-up', node: A }, 0)
  const ack = (seq: number, nowMs: number): SwimEffect[] => {
    const message: SwimMessage = { kind: 'ack', seq, incarnation: 1, updates: [] }
    return swim.handle({ kind: 'received', from: A, route: 'stream', message }, nowMs)
  }
  ack(0, 1)
  for (let answered = 0; answered < 4;) {
    const nowMs = swim.wakeAtMs
    for (const effect of swim.handle({ kind: 'tick' }, nowMs)) {
      if (effect.kind !== 'stream' || effect.message.kind !== 'probe') continue
      ack(effect.message.seq, nowMs + 1)
      answered++
    }
  }
  const heldFromMs = swim.wakeAtMs
  while (swim.wakeAtMs < heldFromMs + 1200) {
    const nowMs = swim.wakeAtMs
    const effects = swim.handle({ kind: 'tick' }, nowMs)
    if (effects.some(({ kind }) => kind === 'stream'))
      swim.handle({ kind: 'streams-held' }, nowMs + 1)
  }
  t.equal(swim.verdictOf(A)?.kind, 'alive')

  // When nothing is held up here, silence is a sign; but such a node is given more time.
  let suspectAtMs = Infinity
  let deadAtMs = Infinity
  while (deadAtMs === Infinity) {
    const nowMs = swim.wakeAtMs
    for (const effect of swim.handle({ kind: 'tick' }, nowMs)) {
      if (effect.kind !== 'verdict') continue
      if (effect.verdict.kind === 'suspect') suspectAtMs = nowMs
      if (effect.verdict.kind === 'dead') deadAtMs = nowMs
    }
  }
  t.ok(deadAtMs - suspectAtMs >= 1200 + 2500, `${deadAtMs - suspectAtMs} ms`)
})

t.test('a machine goes on where the one before it ended', async t => {
  const swim = new Swim({
    self: SELF,
    incarnation: 1,
    spokenWith: INCARNATIONS_PER_START + 7,
    options: swimOptions('lan'),
    random: createRandom(1),
    nowMs: 0,
  })
  t.equal(swim.incarnation, INCARNATIONS_PER_START + 8)
  swim.handle({ kind: 'members', members: MEMBERS }, 0)
  const verdicts = [
    { node: A, kind: 'alive', incarnation: 3 },
    { node: B, kind: 'suspect', incarnation: 4 },
    { node: X, kind: 'left', incarnation: 5 },
    { node: 'other' as NodeId, kind: 'alive', incarnation: 6 },
  ] as const
  swim.handle({ kind: 'recall', verdicts }, 0)
  t.same(swim.verdicts().slice(1), verdicts.slice(0, 3))
  const told: string[] = []
  while (swim.wakeAtMs < 20_000) {
    for (const effect of swim.handle({ kind: 'tick' }, swim.wakeAtMs)) {
      if (effect.kind === 'verdict') told.push(`${effect.verdict.node} ${effect.verdict.kind}`)
    }
  }
  t.same(told.toSorted(), ['a dead', 'a suspect', 'b dead'], 'it watches those it was told of')
})

t.test('a clock that goes back changes nothing', async t => {
  const swim = create()
  tell(swim, 5000, update('alive', X, 1))
  const before = swim.verdicts()
  t.same(
    swim.handle({ kind: 'tick' }, -86_400_000).filter(({ kind }) => kind === 'verdict'),
    [],
  )
  t.same(swim.verdicts(), before)
})
