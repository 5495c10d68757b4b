import t from 'tap'
import type { ClusterEvent, Effect, Message } from '../../../src/node/machine/events.ts'
import type { NodeMachine } from '../../../src/node/machine/node-machine.ts'
import { deltaBetween, RECORD_BYTES_MAX } from '../../../src/node/machine/observed-book.ts'
import { nodeOf } from '../../sim/keys.ts'
import { makeMachine, recordOf, signedBy } from './make-machine.ts'

const [SELF, LIAR, VICTIM, STRANGER] = [0, 1, 2, 9].map(nodeOf)

function hear(machine: NodeMachine, message: Message, nowMs = 10, from = LIAR!): Effect[] {
  return machine.handle({ kind: 'received', from, message }, nowMs)
}

function kinds(effects: readonly Effect[]): string[] {
  return effects.map(({ kind }) => kind)
}

function told(effects: readonly Effect[]): ClusterEvent[] {
  return effects.flatMap(effect => (effect.kind === 'tell' ? [effect.event] : []))
}

t.test(
  'a record from node A about node B is refused, told once, and counted each time',
  async t => {
    const machine = makeMachine(3)
    const honest = recordOf(2, { seq: 5 })
    hear(machine, { kind: 'record', signed: signedBy(honest) })
    t.equal(machine.book.get(VICTIM!)?.seq, 5, 'anybody may relay what the owner signed')

    const forged = signedBy(recordOf(2, { seq: 6, leaving: true }), LIAR)
    t.match(told(hear(machine, { kind: 'record', signed: forged })), [
      { kind: 'refused', subject: 'n1', text: 'relayed a record that its owner did not sign' },
    ])
    t.strictSame(
      told(hear(machine, { kind: 'fill', update: new Uint8Array(), records: [forged] })),
      [],
    )
    const lie = { ...deltaBetween(honest, forged), signature: forged.signature }
    t.strictSame(told(hear(machine, lie)), [], 'nor does a change of a record pass')
    t.equal(
      told(hear(machine, { kind: 'record', signed: forged }, 70_000)).length,
      1,
      'a minute later',
    )
    t.equal(machine.refused.count('forged'), 4)
    t.equal(machine.book.get(VICTIM!)?.leaving, false)
  },
)

t.test('nobody can speak for this node itself', async t => {
  const machine = makeMachine(3)
  machine.handle({ kind: 'ticked' }, 5)
  const before = machine.book.get(SELF!)!
  for (const signed of [
    signedBy(recordOf(0, { incarnation: 7, leaving: true }), LIAR),
    signedBy(recordOf(0, { incarnation: 1, seq: 1_000, leaving: true }), LIAR),
  ]) {
    hear(machine, { kind: 'record', signed })
    hear(machine, { kind: 'fill', update: new Uint8Array(), records: [signed] })
    hear(machine, { ...deltaBetween(before, signed), incarnation: 1, baseSeq: before.seq })
  }
  hear(machine, {
    kind: 'have',
    vector: new Uint8Array(),
    records: [{ node: SELF!, incarnation: 2 ** 40, seq: 1 }],
    answer: true,
  })
  machine.handle({ kind: 'ticked' }, 1_000)
  const after = machine.book.get(SELF!)!
  t.strictSame([after.incarnation, after.leaving], [1, false], 'it goes on as it was')
})

t.test('a stranger is not listened to, and neither is what is said of one', async t => {
  const machine = makeMachine(2)
  const signed = signedBy(recordOf(9))
  t.strictSame(told(hear(machine, { kind: 'record', signed }, 10, STRANGER)), [])
  hear(machine, { kind: 'record', signed })
  t.equal(machine.book.get(STRANGER!), undefined)
})

t.test('a record larger than any honest one is not kept', async t => {
  const machine = makeMachine(3)
  const padding = { padding: new Uint8Array(RECORD_BYTES_MAX) }
  const signed = signedBy({ ...recordOf(2), ...padding })
  t.match(told(hear(machine, { kind: 'record', signed })), [{ kind: 'refused', text: /larger/ }])
  t.equal(machine.book.get(VICTIM!), undefined)
  t.equal(machine.refused.count('oversize'), 1)
})

t.test('bytes that are no message are counted; few of them are told', async t => {
  const machine = makeMachine(2)
  const refuse = (fault: 'malformed' | 'unknown-kind', nowMs: number): ClusterEvent[] =>
    told(machine.handle({ kind: 'message-refused', from: LIAR!, fault, reason: 'hail' }, nowMs))
  t.match(refuse('malformed', 1), [{ kind: 'refused', text: /sent a message that is none: hail/ }])
  for (let nowMs = 2; nowMs < 1_000; nowMs++) t.strictSame(refuse('malformed', nowMs), [])
  t.match(refuse('unknown-kind', 1_000), [{ kind: 'node', text: /does not know \(hail\)/ }])
  t.equal(machine.refused.count('malformed'), 999)
  t.equal(machine.refused.count('unknown-kind'), 1)
})

t.test(
  'a later life of this node, that it does not know of, has it write to a new log',
  async t => {
    const machine = makeMachine(3)
    const edit = (nowMs: number): Effect[] =>
      machine.handle(
        { kind: 'edited', request: nowMs, edit: { kind: 'admit', node: nodeOf(nowMs), name: 'x' } },
        nowMs,
      )
    const persisted = (effects: readonly Effect[]): void => {
      for (const effect of effects) {
        if (effect.kind === 'persist')
          machine.handle({ kind: 'persisted', token: effect.token }, 90)
      }
    }
    const first = edit(10)
    t.notOk(
      kinds(first).includes('keep-client-id'),
      'at the very first start nobody can have a copy',
    )
    persisted(first)
    const run = { id: 'later', startedAtMs: 0, atMs: 5, met: [] }
    hear(machine, { kind: 'record', signed: signedBy(recordOf(0, { incarnation: 7, run })) }, 20)
    const doubted = edit(30)
    t.strictSame(kinds(doubted).slice(0, 2), ['keep-client-id', 'persist'], 'in this order')
    persisted(doubted)
    t.notOk(kinds(edit(91)).includes('keep-client-id'), 'once is enough')
    machine.handle({ kind: 'ticked' }, 2_000)
    t.equal(machine.book.get(SELF!)?.incarnation, 8, 'and its record goes above the other')
  },
)
