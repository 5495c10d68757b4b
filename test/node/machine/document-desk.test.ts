import t from 'tap'
import { createDesiredDoc } from '../../../src/crdt/desired-doc.ts'
import type { NodeId } from '../../../src/model/ids.ts'
import { DocumentDesk } from '../../../src/node/machine/document-desk.ts'
import type { Effect } from '../../../src/node/machine/events.ts'
import type { Reach } from '../../../src/node/machine/reach.ts'
import { createNodeKey, createVerify } from '../../../src/util/keys.ts'

const [self, other] = [1, 2].map(byte => createNodeKey(new Uint8Array(32).fill(byte))) as [
  ReturnType<typeof createNodeKey>,
  ReturnType<typeof createNodeKey>,
]
const verify = createVerify()

/** Updates that another node made, one after the other. */
function updatesOfOther(count: number): Uint8Array[] {
  const { node } = other
  const doc = createDesiredDoc({
    self: node,
    clientId: 2,
    sign: bytes => other.sign(bytes),
    verify,
  })
  return Array.from({ length: count }, (_, at) => {
    const edited = doc.edit({ kind: 'admit', node, name: `other${at}` }, { timeMs: 0 })
    if (!edited.ok || edited.update === undefined) throw new Error('the edit was refused')
    return edited.update
  })
}

function updateOfOther(): Uint8Array {
  return updatesOfOther(1)[0]!
}

function createDesk(updates: readonly Uint8Array[] = []): DocumentDesk {
  const { node } = self
  return new DocumentDesk({
    self: node,
    clientId: 1,
    sign: bytes => self.sign(bytes),
    verify,
    random: () => 0.5,
    isSureOfLog: () => true,
    updates,
  })
}

function tokensOf(effects: readonly Effect[]): number[] {
  return effects.flatMap(effect => (effect.kind === 'persist' ? [effect.token] : []))
}

const nameOf = (node: NodeId): string => node
const ALONE: Reach = { peers: [], isAlone: true }
const alone = (): Reach => ALONE

t.test('DocumentDesk acknowledges an update of another node when it is on the disk', async t => {
  const desk = createDesk()
  const taken = desk.take(updateOfOther(), nameOf, other.node, 0)
  t.ok(taken.isWhole)
  const [token] = tokensOf(taken.effects)
  t.strictSame(desk.acknowledge(other.node, 7), [], 'not before')
  const sent = { kind: 'send', to: other.node, message: { kind: 'stored', id: 7 } }
  t.match(
    desk.persisted(token!, () => ALONE, 1),
    [sent],
  )
})

t.test(
  'DocumentDesk acknowledges nothing while the disk lacks an update, and all after the repair',
  async t => {
    const desk = createDesk()
    const taken = desk.take(updateOfOther(), nameOf, other.node, 0)
    desk.acknowledge(other.node, 7)
    desk.persistFailed(tokensOf(taken.effects)[0]!, 'the disk is full', 1)
    t.strictSame(
      desk.acknowledge(other.node, 8),
      [],
      'what was owed and what comes now are both silent',
    )

    const [repair] = tokensOf(desk.expire(alone, desk.wakeAtMs()))
    t.strictSame(desk.acknowledge(other.node, 9), [], 'the repair is on its way only')
    t.strictSame(
      desk.persisted(repair!, () => ALONE, 10_000),
      [],
      'nobody is told of what was silent',
    )
    const sent = { kind: 'send', to: other.node, message: { kind: 'stored', id: 10 } }
    t.match(desk.acknowledge(other.node, 10), [sent])
  },
)

t.test('DocumentDesk writes what waits for an earlier update, whoever brings that', async t => {
  const [first, second] = updatesOfOther(2) as [Uint8Array, Uint8Array]
  const desk = createDesk()
  const early = desk.take(second, nameOf, other.node, 0)
  t.notOk(early.isWhole, 'it is not to be acknowledged yet')
  const late = desk.take(first, nameOf, other.node, 1)
  t.ok(late.isWhole)
  t.ok(desk.take(second, nameOf, other.node, 2).isWhole, 'and the second time it is')
  const written = [...early.effects, ...late.effects].flatMap(effect =>
    effect.kind === 'persist' ? [effect.update] : [],
  )
  const again = createDesk(written)
  t.equal(again.doc.read().nodes.get(other.node)?.name, 'other1', 'the disk has both')
})

t.test('DocumentDesk takes an update for whole whatever else waits', async t => {
  const [, second] = updatesOfOther(2) as [Uint8Array, Uint8Array]
  const third = createDesiredDoc({
    self: self.node,
    clientId: 3,
    sign: bytes => self.sign(bytes),
    verify,
  }).edit({ kind: 'admit', node: self.node, name: 'third' }, { timeMs: 0 })
  if (!third.ok || third.update === undefined) throw new Error('the edit was refused')
  const desk = createDesk()
  t.notOk(desk.take(second, nameOf, other.node, 0).isWhole)
  t.ok(desk.take(third.update, nameOf, other.node, 0).isWhole)
})

t.test('DocumentDesk hands an edit out again until one disk has it', async t => {
  const desk = createDesk()
  const admit = { kind: 'admit', node: self.node, name: 'self' } as const
  const [token] = tokensOf(desk.edit(1, admit, 0))
  let reach: Reach = { peers: [], isAlone: false }
  t.match(
    desk.persisted(token!, () => reach, 0),
    [{ kind: 'publish' }],
    'nobody is connected yet',
  )
  t.equal(desk.wakeAtMs(), 200)
  reach = { peers: [other.node], isAlone: false }
  const handed: number[] = []
  while (desk.wakeAtMs() < 2_000) {
    const nowMs = desk.wakeAtMs()
    const effects = desk.expire(() => reach, nowMs)
    t.match(effects, [{ kind: 'send', to: other.node, message: { kind: 'store', id: token } }])
    handed.push(nowMs)
  }
  t.strictSame(handed, [200, 600, 1_400], 'less and less often')
  t.match(desk.stored(token!, other.node), [
    { kind: 'reply', request: 1, result: { storedOn: [self.node, other.node], onlyHere: false } },
  ])
  t.equal(desk.wakeAtMs(), Infinity)
})

t.test('DocumentDesk says that an edit is only here: after 2 s, or at once when alone', async t => {
  const admit = (name: string) => ({ kind: 'admit', node: self.node, name }) as const
  const desk = createDesk()
  const onlyHere = { kind: 'reply', result: { storedOn: [self.node], onlyHere: true } }
  const [first] = tokensOf(desk.edit(1, admit('one'), 0))
  t.match(
    desk.persisted(first!, () => ALONE, 0),
    [{ kind: 'publish' }, onlyHere],
  )
  const [second] = tokensOf(desk.edit(2, admit('two'), 0))
  const silent: Reach = { peers: [other.node], isAlone: false }
  desk.persisted(second!, () => silent, 0)
  const answers: Effect[] = []
  while (desk.wakeAtMs() < 2_000) answers.push(...desk.expire(() => silent, desk.wakeAtMs()))
  t.notMatch(answers, [{ kind: 'reply' }])
  t.equal(desk.wakeAtMs(), 2_000)
  t.match(
    desk.expire(() => silent, 2_000),
    [onlyHere],
  )
})
