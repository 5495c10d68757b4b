import t from 'tap'
import { appSchema } from '../../../src/model/app.ts'
import type { Desired, DesiredApp } from '../../../src/model/desired.ts'
import type { AppId, NodeId, RevisionId, SlotId, TaskId } from '../../../src/model/ids.ts'
import type { NodeMode } from '../../../src/model/node-admin.ts'
import type { NodeRecord } from '../../../src/model/node-record.ts'
import type { TaskState } from '../../../src/model/task.ts'
import { INCARNATIONS_PER_START } from '../../../src/gossip/liveness/swim.ts'
import { Holders } from '../../../src/node/machine/holders.ts'
import { nodeOf } from '../../sim/keys.ts'
import { makeMachine, recordOf, signedBy } from './make-machine.ts'

const slot = '/web.0' as SlotId

/** What one node says of `/web.0`: the states of its tasks, and whether it waits to run it. */
interface Said {
  readonly node: string
  readonly tasks?: readonly TaskState[]
  readonly waits?: boolean
  readonly incarnation?: number
}

function record({ node, tasks = [], waits = false, incarnation = 1 }: Said): NodeRecord {
  return {
    node: node as NodeId,
    incarnation,
    seq: 1,
    name: node,
    address: '10.0.0.1',
    multiaddrs: [],
    probePort: 1,
    dnsPort: 53,
    labels: {},
    runtimes: { docker: true, process: true },
    capacity: { cpus: 1, memMb: 1, diskMb: 0, gpus: 0 },
    version: '0.1.0',
    tasks: tasks.map((state, at) => ({
      id: `${slot}@${node}${at}` as TaskId,
      app: '/web' as AppId,
      slot,
      revision: 'r1' as RevisionId,
      state,
      health: 'none',
      ports: [],
      sinceMs: 0,
      message: '',
    })),
    refusals: [],
    waits: waits ? [{ slot, reason: 'room' }] : [],
    inputsHash: '',
    placementHash: '',
    leaving: false,
  }
}

function desired(placement: 'hash' | 'sticky', modes: Readonly<Record<string, NodeMode>>): Desired {
  const spec = appSchema.parse({ id: '/web', command: 'serve', placement })
  const app = { id: spec.id, spec, revision: 'r1', instances: 1, generation: 1 } as DesiredApp
  const nodes = Object.entries(modes).map(([node, mode]) => {
    const id = node as NodeId
    return [id, { node: id, name: node, by: id, timeMs: 0, labels: {}, mode }] as const
  })
  return { apps: new Map([[app.id, app]]), nodes: new Map(nodes), settings: {} }
}

/** Who holds `/web.0`, in one string; records of an earlier life than `life` are old. */
function holders(of: Desired, said: readonly Said[], life = 1): string {
  const held = new Holders().find(of, said.map(record), ({ incarnation }) => incarnation >= life)
  return (
    held
      .get('/web' as AppId)
      ?.get(slot)
      ?.join() ?? '-'
  )
}

const two = { a: 'active', b: 'active' } as const

t.test('Holders finds who has a slot of a sticky app', async t => {
  const cases: readonly [readonly Said[], string, string][] = [
    [[{ node: 'a' }], '-', 'nobody'],
    [[{ node: 'a', tasks: ['preparing'] }], 'a', 'from its first moment'],
    [
      [
        { node: 'b', tasks: ['running'] },
        { node: 'a', tasks: ['running'] },
      ],
      'a,b',
      'by id',
    ],
    [[{ node: 'a', tasks: ['failed'] }], 'a', 'between a crash and the next start'],
    [[{ node: 'a', tasks: ['stopping'] }], 'a', 'while it is replaced'],
    [
      [
        { node: 'a', tasks: ['failed', 'running'] },
        { node: 'b', tasks: ['failed'] },
      ],
      'a',
      'live',
    ],
    [
      [
        { node: 'a', tasks: ['stopping'] },
        { node: 'b', tasks: ['starting'] },
      ],
      'b',
      'moved on',
    ],
    [[{ node: 'a', waits: true }], 'a', 'is to run it'],
    [
      [
        { node: 'a', waits: true },
        { node: 'b', tasks: ['failed'] },
      ],
      'b',
      'had it',
    ],
    [
      [
        { node: 'a', waits: true },
        { node: 'b', tasks: ['running'] },
      ],
      'b',
      'has it',
    ],
  ]
  for (const [said, expected, why] of cases) {
    t.equal(holders(desired('sticky', two), said), expected, why)
    t.equal(holders(desired('hash', two), said), '-', `${why}, but not sticky`)
  }
})

t.test('Holders believes a record of before the last start less than any other', async t => {
  const old: Said = { node: 'a', tasks: ['running'], incarnation: 1 }
  t.equal(holders(desired('sticky', two), [old], 2), 'a', 'its daemon is just away')
  const now: Said = { node: 'b', tasks: ['running'], incarnation: 2 }
  t.equal(holders(desired('sticky', two), [old, now], 2), 'b')
})

t.test('Holders finds what a cordoned node has, and nobody else', async t => {
  const cordoned = desired('hash', { a: 'cordoned', b: 'active' })
  const cases: readonly [readonly Said[], string][] = [
    [[{ node: 'a', tasks: ['running'] }, { node: 'b' }], 'a'],
    [[{ node: 'b', tasks: ['running'] }], '-'],
    [
      [
        { node: 'a', tasks: ['running'] },
        { node: 'b', tasks: ['running'] },
      ],
      'a',
    ],
    [
      [
        { node: 'a', tasks: ['failed'] },
        { node: 'b', tasks: ['failed'] },
      ],
      'a',
    ],
    [
      [
        { node: 'a', tasks: ['stopping'] },
        { node: 'b', tasks: ['running'] },
      ],
      '-',
    ],
    [
      [
        { node: 'a', waits: true },
        { node: 'b', tasks: ['starting'] },
      ],
      '-',
    ],
  ]
  for (const [said, expected] of cases) {
    t.equal(holders(cordoned, said), expected, JSON.stringify(said))
  }
  const drained = desired('sticky', { a: 'drained', b: 'active' })
  t.equal(holders(drained, [{ node: 'a', tasks: ['running'] }]), 'a', 'placement says no to it')
})

t.test('Holders says which steps of a record matter', async t => {
  const steps: readonly [Said, Said, boolean, boolean, string][] = [
    [{ node: 'a' }, { node: 'a', tasks: ['preparing'] }, true, true, 'begins'],
    [{ node: 'a', tasks: ['preparing'] }, { node: 'a', tasks: ['running'] }, false, false, 'runs'],
    [{ node: 'a', tasks: ['running'] }, { node: 'a', tasks: ['stopping'] }, true, true, 'stops'],
    [{ node: 'a', tasks: ['failed'] }, { node: 'a' }, true, true, 'is forgotten'],
    [{ node: 'b' }, { node: 'b', tasks: ['running'] }, true, false, 'begins elsewhere'],
    [
      { node: 'a', tasks: ['running'] },
      { node: 'a', tasks: ['running'], incarnation: 2 },
      true,
      true,
      'is found again',
    ],
  ]
  for (const [before, after, sticky, cordoned, why] of steps) {
    const check = (of: Desired, expected: boolean, what: string): void => {
      const finder = new Holders()
      finder.find(of, [record(before)], () => true)
      t.equal(finder.isAffected(record(before), record(after)), expected, `${why}, ${what}`)
    }
    check(desired('sticky', two), sticky, 'sticky')
    check(desired('hash', { a: 'cordoned', b: 'active' }), cordoned, 'cordoned')
    check(desired('hash', two), false, 'neither')
  }
})

t.test('NodeMachine places again when it hears that a holder was started anew', async t => {
  const machine = makeMachine(3)
  const spec = appSchema.parse({ id: '/web', command: 'serve', placement: 'sticky' })
  machine.handle(
    { kind: 'edited', request: 1, edit: { kind: 'apply', specs: [spec], message: '' } },
    1,
  )
  const { revision } = machine.doc.read().apps.get(spec.id)!
  for (const [index, node] of [1, 2].map(at => [at, nodeOf(at)] as const)) {
    const tasks = record({ node: String(index), tasks: ['running'] }).tasks
    const signed = signedBy(recordOf(index, { tasks: tasks.map(task => ({ ...task, revision })) }))
    machine.handle({ kind: 'received', from: node, message: { kind: 'record', signed } }, 2)
    const incarnation = INCARNATIONS_PER_START
    machine.handle({ kind: 'verdict-came', verdict: { node, kind: 'alive', incarnation } }, 3)
  }
  const holder = machine.placed.placement.placed.get(slot)!
  const other = [1, 2].map(nodeOf).find(node => node !== holder)
  t.not(holder, nodeOf(0), 'of the two holders, the one that ranks higher')
  const incarnation = 2 * INCARNATIONS_PER_START
  const verdict = { node: holder, kind: 'alive', incarnation } as const
  machine.handle({ kind: 'verdict-came', verdict }, 4)
  t.equal(machine.placed.placement.placed.get(slot), other, 'its record is of an earlier life')
})

t.test('Holders notices when a slot that a cordoned node had begins elsewhere', async t => {
  const finder = new Holders()
  const failed = record({ node: 'a', tasks: ['failed'] })
  finder.find(desired('hash', { a: 'cordoned', b: 'active' }), [failed], () => true)
  const [before, after] = [record({ node: 'b' }), record({ node: 'b', tasks: ['preparing'] })]
  t.equal(finder.isAffected(before, after), true)
})
