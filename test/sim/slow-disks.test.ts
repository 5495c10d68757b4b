import t from 'tap'
import type { AppId } from '../../src/model/ids.ts'
import { PERSIST_RETRY_MS } from '../../src/node/machine/document-desk.ts'
import { OFFER_INTERVAL_MS } from '../../src/node/machine/offer-pace.ts'
import { appOf } from './apps.ts'
import { applyNow, rest, settled, watch } from './scene.ts'
import type { SimHost } from './host.ts'

const WEB = '/web' as AppId
const version = (VERSION: string): ReturnType<typeof appOf> => appOf(WEB, { env: { VERSION } })
const has = ({ machine }: SimHost, VERSION: string): boolean =>
  machine?.doc.read().apps.get(WEB)?.spec.env['VERSION'] === VERSION

t.test(
  'whoever vouches for an edit of another has it on its disk, however slow that is',
  async t => {
    // What is being written when the power goes is there afterwards, or is not.
    for (let seed = 1; seed <= 4; seed++) {
      const world = settled(t, { seed, nodes: 2 }, version('1'))
      const [editor, other] = world.hosts
      other!.disk.slowMs = 500
      const asked = world.edit(editor!, { kind: 'apply', specs: [version('2')], message: '' })
      // Looked at after every step, so that both are gone before either does anything more.
      world.onStep = () => {
        if (asked.result === undefined || !editor!.isPowered) return
        editor!.powerOff(true)
        other!.powerOff()
      }
      world.run(5_000, () => asked.result !== undefined)
      world.onStep = undefined
      t.match(asked.result, { ok: true, onlyHere: false, storedOn: [editor!.node, other!.node] })
      world.restart(other!)
      rest(t, world)
      t.ok(has(other!, '2'))
    }
  },
)

t.test('what a disk refuses in the end nobody has seen before', async t => {
  const world = settled(t, { seed: 2, nodes: 3 }, version('1'))
  const [editor, ...others] = world.hosts
  editor!.disk.slowMs = 4 * OFFER_INTERVAL_MS
  editor!.disk.isFull = true
  const asked = world.edit(editor!, { kind: 'apply', specs: [version('2')], message: '' })
  const seen = watch(world, () => others.filter(host => has(host, '2')).length)
  world.run(60_000, () => asked.result !== undefined)
  t.match(asked.result, { ok: false, reason: /no space left/ })
  editor!.disk.slowMs = 0
  editor!.disk.isFull = false
  rest(t, world)
  t.equal(seen.max, 0, 'anti-entropy went on, and did not show it')
})

t.test(
  'a disk that refused an edit of another vouches for nothing after it until it has both',
  async t => {
    for (const isRepaired of [false, true]) {
      const world = settled(t, { seed: 3, nodes: 2 }, version('1'))
      const [editor, other] = world.hosts
      other!.disk.isFull = true
      const alone = applyNow(world, editor!, version('2'))
      t.match(alone.result, { ok: true, onlyHere: true })
      other!.disk.isFull = false
      if (isRepaired) world.run(PERSIST_RETRY_MS + 1_000)
      const after = applyNow(world, editor!, version('3'))
      t.match(after.result, { ok: true, onlyHere: !isRepaired })
      editor!.powerOff(true)
      other!.powerOff()
      world.restart(other!)
      world.run(5_000)
      t.strictSame([...world.violations, ...world.ledger.check(world.up)], [])
      t.equal(
        has(other!, '3'),
        isRepaired,
        'what was said to be on two disks survives the loss of one',
      )
    }
  },
)
