import t from 'tap'
import { createDesiredDoc } from '../../../src/crdt/desired-doc.ts'
import type { NodeId } from '../../../src/model/ids.ts'
import { DocumentDesk } from '../../../src/node/machine/document-desk.ts'
import type { Effect } from '../../../src/node/machine/events.ts'
import { createNodeKey, createVerify } from '../../../src/util/keys.ts'

const [self, other] = [1, 2].map(byte => createNodeKey(new Uint8Array(32).fill(byte))) as [
  ReturnType<typeof createNodeKey>,
  ReturnType<typeof createNodeKey>,
]
const verify = createVerify()

/** An update that another node made. */
function updateOfOther(): Uint8Array {
  const { node } = other
  const doc = createDesiredDoc({
    self: node,
    clientId: 2,
    sign: bytes => other.sign(bytes),
    verify,
  })
  const edited = doc.edit({ kind: 'admit', node, name: 'other' }, { timeMs: 0 })
  if (!edited.ok || edited.update === undefined) throw new Error('the edit was refused')
  return edited.update
}

function createDesk(): DocumentDesk {
  const { node } = self
  return new DocumentDesk({
    self: node,
    clientId: 1,
    sign: bytes => self.sign(bytes),
    verify,
    random: () => 0.5,
    isSureOfLog: () => true,
    updates: [],
  })
}

function tokensOf(effects: readonly Effect[]): number[] {
  return effects.flatMap(effect => (effect.kind === 'persist' ? [effect.token] : []))
}

const nameOf = (node: NodeId): string => node

t.test('DocumentDesk acknowledges an update of another node when it is on the disk', async t => {
  const desk = createDesk()
  const taken = desk.take(updateOfOther(), nameOf, other.node, 0)
  t.ok(taken.isWhole)
  const [token] = tokensOf(taken.effects)
  t.strictSame(desk.acknowledge(other.node, 7), [], 'not before')
  const sent = { kind: 'send', to: other.node, message: { kind: 'stored', id: 7 } }
  t.match(desk.persisted(token!, [], 1), [sent])
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

    const [repair] = tokensOf(desk.expire(desk.wakeAtMs()))
    t.strictSame(desk.acknowledge(other.node, 9), [], 'the repair is on its way only')
    t.strictSame(desk.persisted(repair!, [], 10_000), [], 'nobody is told of what was silent')
    const sent = { kind: 'send', to: other.node, message: { kind: 'stored', id: 10 } }
    t.match(desk.acknowledge(other.node, 10), [sent])
  },
)
