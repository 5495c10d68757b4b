import t, { type Test } from 'tap'
import { appSchema, type AppInput, type AppSpec } from '../../src/model/app.ts'
import type { AppId, NodeId, RevisionId, SlotId, TaskId } from '../../src/model/ids.ts'
import type { Task, TaskState } from '../../src/model/task.ts'
import {
  plan,
  ROOM_PATIENCE_MS,
  type Gate,
  type LocalTask,
  type RemoteTask,
} from '../../src/reconcile/plan.ts'
import { createRoom } from '../../src/reconcile/room.ts'

const ME = 'me' as NodeId
const NOW = 100_000
const MONITOR_MS = 2_000

/** A cluster in which nothing holds anything back. */
const OPEN: Gate = {
  start: () => undefined,
  makeWay: () => undefined,
  go: () => undefined,
  claimEndMs: () => Infinity,
}

/** What a case differs in from: nothing placed, nothing running, an empty node of 1000 MB. */
interface Scene {
  /** Where slots belong: `web.0:me web.1:you web.2:-`, where `-` is nowhere. */
  readonly placed?: string
  /** Tasks here and elsewhere: `slot@revision state node servedMs?`, `;` between them. */
  readonly tasks?: string
  /** Every app is at revision 2, and revision 1 was the same but for these. */
  readonly app?: Partial<AppInput>
  readonly oldMemMb?: number
  readonly isSettled?: boolean
  readonly retryAtMs?: number
  readonly isRefused?: boolean
  readonly waitingMs?: number
  readonly gate?: Partial<Gate>
}

/** The one place that calls plan(): the tests below are only data. */
function check(t: Test, scene: Scene, expected: string): void {
  const spec = appSchema.parse({ id: '/web', command: 'serve', ...scene.app })
  const old: AppSpec = { ...spec, resources: { ...spec.resources, memMb: scene.oldMemMb ?? 128 } }
  const places = words(scene.placed).map(word => word.split(':') as [string, string])
  const placed = new Map(
    places
      .filter(([, node]) => node !== '-')
      .map(([slot, node]) => [`/${slot}` as SlotId, node as NodeId]),
  )
  const tasks = (scene.tasks ?? '').split(';').filter(Boolean).map(readTask)
  const local = tasks
    .filter(({ node }) => node === ME)
    .map((one): LocalTask => {
      const isOld = one.task.revision !== ('2' as RevisionId)
      const mustReplace = one.task.health === 'unhealthy'
      const hasServed = one.servingSinceMs !== undefined || one.task.message === 'ill'
      return { ...one, spec: isOld ? old : spec, mustReplace, hasServed }
    })
  const result = plan({
    self: ME,
    nowMs: NOW,
    apps: new Map([['/web' as AppId, { id: '/web' as AppId, revision: '2' as RevisionId, spec }]]),
    placed,
    unplaced: new Set(
      places.filter(([, node]) => node === '-').map(([slot]) => `/${slot}` as SlotId),
    ),
    own: [...placed].filter(([, node]) => node === ME).map(([slot]) => slot),
    local,
    remote: slot => tasks.filter(({ node, task }) => node !== ME && task.slot === slot),
    room: createRoom(
      { cpus: 4, memMb: 1000, diskMb: 0, gpus: 0 },
      local.map(one => one.spec),
    ),
    gate: { ...OPEN, ...scene.gate },
    retryAtMs: () => scene.retryAtMs,
    isRefused: () => scene.isRefused ?? false,
    waitingForRoomSinceMs: () =>
      scene.waitingMs === undefined ? undefined : NOW - scene.waitingMs,
    isSettled: scene.isSettled ?? true,
  })
  const actions = result.actions.map(action =>
    action.kind === 'start'
      ? `start ${action.slot.slice(1)}`
      : `stop ${action.task.slice(1)} (${action.reason})`,
  )
  const waits = result.waits.map(({ slot, reason }) => `${slot.slice(1)}: ${reason}`)
  t.equal([...actions, ...waits].join('; '), expected)
}

/** Reads `web.0@1 running you 2500`: a task of revision 1 that has served for 2500 ms. One that is `ill` served before. */
function readTask(text: string): RemoteTask {
  const [name, state, node, servedMs] = words(text)
  const [slot, revision] = name!.split('@')
  const isSick = state === 'unhealthy'
  const isIll = state === 'ill'
  const task: Task = {
    id: `/${name}` as TaskId,
    app: '/web' as AppId,
    slot: `/${slot}` as SlotId,
    revision: revision as RevisionId,
    state: isSick || isIll ? 'running' : (state as TaskState),
    health: isSick ? 'unhealthy' : servedMs === undefined ? 'unknown' : 'healthy',
    ports: [],
    sinceMs: 0,
    message: isIll ? 'ill' : '',
  }
  const since = servedMs === undefined ? {} : { servingSinceMs: NOW - Number(servedMs) }
  return { node: node as NodeId, task, ...since }
}

function words(text = ''): string[] {
  return text.trim().split(/\s+/).filter(Boolean)
}

t.test('plan() starts what belongs here and does not run', async t => {
  check(t, { placed: 'web.0:me web.1:you web.2:me' }, 'start web.0; start web.2')
})

t.test('plan() asks for nothing when all is well, or on its way', async t => {
  check(t, { placed: 'web.0:me', tasks: 'web.0@2 running me 10' }, '')
  check(t, { placed: 'web.0:me', tasks: 'web.0@2 preparing me' }, '')
  check(t, { placed: '', tasks: 'web.0@2 stopping me' }, '')
})

t.test('plan() does nothing at all while the node looks for the others', async t => {
  const tasks = 'web.1@2 running me 10'
  const placed = 'web.0:me'
  check(t, { placed, tasks, isSettled: false }, 'web.0: the node is still looking for the others')
})

t.test('plan() stops what exists no more', async t => {
  check(t, { tasks: 'web.3@2 running me 10' }, 'stop web.3@2 (the app was scaled down)')
  const tasks = 'web.0@2 running me 10'
  check(t, { placed: 'web.0:-', tasks }, 'stop web.0@2 (no node may run it now)')
  const useless = 'stop web.0@1 (no node may run it now)'
  check(t, { placed: 'web.0:-', tasks: 'web.0@1 running me' }, useless)
})

t.test('plan() keeps the old task of a slot whose new revision no node may run', async t => {
  check(t, { placed: 'web.0:-', tasks: 'web.0@1 running me 10' }, '')
  check(t, { placed: 'web.0:-', tasks: 'web.0@1 ill me' }, '')
  const sick = 'stop web.0@1 (its health checks failed)'
  check(t, { placed: 'web.0:-', tasks: 'web.0@1 unhealthy me 10' }, sick)
  const one = 'stop web.0@1 (another task serves the slot)'
  const here = 'web.0@1 running me 9000'
  check(t, { placed: 'web.0:-', tasks: `${here}; web.0@0 running you ${MONITOR_MS}` }, one)
  check(t, { placed: 'web.0:-', tasks: `${here}; web.0@0 running me ${MONITOR_MS}` }, one)
  check(t, { placed: 'web.0:-', tasks: `${here}; web.0@0 running you ${MONITOR_MS - 1}` }, '')
  check(t, { placed: 'web.0:-', tasks: `${here}; web.0@3 running you 9000` }, '')
  // One of the wanted revision ends at once, on its own node: it is nobody to make way for.
  check(t, { placed: 'web.0:-', tasks: 'web.0@3 running me 9000; web.0@2 running you 9000' }, '')
})

t.test(
  'plan() keeps what another node is to run until it has served there for a while',
  async t => {
    const placed = 'web.0:you'
    const here = 'web.0@2 running me 9000'
    check(t, { placed, tasks: here }, '')
    check(t, { placed, tasks: `${here}; web.0@2 running you` }, '')
    check(t, { placed, tasks: `${here}; web.0@2 running you ${MONITOR_MS - 1}` }, '')
    check(t, { placed, tasks: `${here}; web.0@1 running you ${MONITOR_MS}` }, '')
    check(t, { placed, tasks: `${here}; web.0@2 running other ${MONITOR_MS}` }, '')
    const taken = `${here}; web.0@2 running you ${MONITOR_MS}`
    check(t, { placed, tasks: taken }, 'stop web.0@2 (another node runs it now)')
  },
)

t.test('plan() gives up at once what serves nobody here and somebody there', async t => {
  const tasks = 'web.0@2 running me; web.0@2 running you 1'
  check(t, { placed: 'web.0:you', tasks }, 'stop web.0@2 (another node runs it now)')
})

t.test('plan() leaves no failing task behind on a node that refuses its slot', async t => {
  const placed = 'web.0:you'
  const gaveUp = 'stop web.0@2 (it failed here, and another node is to try)'
  check(t, { placed, tasks: 'web.0@2 running me', isRefused: true }, gaveUp)
  check(t, { placed, tasks: 'web.0@2 preparing me', isRefused: true }, gaveUp)
  check(t, { placed, tasks: 'web.0@2 running me 10', isRefused: true }, '')
  check(t, { placed, tasks: 'web.0@2 running me' }, '')
  check(t, { placed, tasks: 'web.0@2 unhealthy me' }, 'stop web.0@2 (its health checks failed)')
})

t.test('plan() never lets a stop-first app run twice', async t => {
  const app: Partial<AppInput> = { update: { order: 'stop-first' } }
  const tasks = 'web.0@2 running me 10'
  check(
    t,
    { app, placed: 'web.0:you', tasks },
    'stop web.0@2 (it belongs to another node, and must not run twice)',
  )
  check(
    t,
    { app, placed: 'web.0:me', tasks: 'web.0@2 stopping you' },
    'web.0: another node still runs it, and it must not run twice',
  )
  check(
    t,
    { app, placed: 'web.0:me', tasks: 'web.0@1 running me 10' },
    'stop web.0@1 (a newer revision takes its place); web.0: the old task must end first',
  )
  check(
    t,
    { app, placed: 'web.0:me', tasks: 'web.0@2 stopping me' },
    'web.0: the old task must end first',
  )
  check(t, { app, placed: 'web.0:me', tasks: 'web.0@2 failed you' }, 'start web.0')
})

t.test('plan() brings the new revision before the old one goes', async t => {
  const placed = 'web.0:me'
  const old = 'web.0@1 running me 9000'
  check(t, { placed, tasks: old }, 'start web.0')
  check(t, { placed, tasks: `${old}; web.0@2 running me` }, '')
  check(t, { placed, tasks: `${old}; web.0@2 running me ${MONITOR_MS - 1}` }, '')
  const served = `${old}; web.0@2 running me ${MONITOR_MS}`
  check(t, { placed, tasks: served }, 'stop web.0@1 (a newer revision runs)')
})

t.test('plan() lets slots change their revision one after the other', async t => {
  const placed = 'web.0:you web.1:me'
  const old = 'web.1@1 running me 9000'
  const wait = 'web.1: the rollout waits for /web.0 to serve the new revision'
  check(t, { placed, tasks: `${old}; web.0@1 running you 9000` }, wait)
  check(t, { placed, tasks: `${old}; web.0@2 running you 100` }, wait)
  const both = `${old}; web.0@2 running you ${MONITOR_MS}; web.0@1 running you 9000`
  check(t, { placed, tasks: both }, wait)
  check(t, { placed, tasks: `${old}; web.0@2 running you ${MONITOR_MS}` }, 'start web.1')
  check(t, { placed, tasks: old, app: { update: { parallelism: 2 } } }, 'start web.1')
  check(t, { placed: 'web.0:- web.1:me', tasks: old }, 'start web.1')
})

t.test('plan() replaces an old task that never served at once: nothing can be lost', async t => {
  const replaced = 'stop web.1@1 (a newer revision takes its place); start web.1'
  check(t, { placed: 'web.0:you web.1:me', tasks: 'web.1@1 running me' }, replaced)
  check(t, { placed: 'web.0:you web.1:me', tasks: 'web.1@1 preparing me' }, replaced)
  const sick = 'stop web.1@1 (its health checks failed); start web.1'
  check(t, { placed: 'web.0:you web.1:me', tasks: 'web.1@1 unhealthy me' }, sick)
  const elsewhere = 'stop web.1@1 (a newer revision takes its place)'
  check(t, { placed: 'web.0:you web.1:you', tasks: 'web.1@1 running me' }, elsewhere)
})

t.test(
  'plan() lets an old task that is ill wait for its turn, but for nobody to serve',
  async t => {
    const placed = 'web.0:you web.1:me'
    const wait = 'web.1: the rollout waits for /web.0 to serve the new revision'
    check(t, { placed, tasks: 'web.1@1 ill me; web.0@1 ill you' }, wait)
    check(t, { placed, tasks: 'web.1@1 ill me; web.0@2 preparing you' }, 'start web.1')
    check(t, { placed, tasks: 'web.1@1 ill me' }, 'start web.1')
  },
)

t.test('plan() keeps one old task of a slot, and none that serves nobody beside it', async t => {
  const placed = 'web.0:you web.1:me'
  const wait = 'web.1: the rollout waits for /web.0 to serve the new revision'
  const first = 'web.1@0 running me 9000'
  const older = `stop web.1@1 (an older one serves until the new revision does); ${wait}`
  check(t, { placed, tasks: `${first}; web.1@1 running me 100` }, older)
  const useless = `stop web.1@1 (another task serves the slot); ${wait}`
  check(t, { placed, tasks: `${first}; web.1@1 ill me` }, useless)
  check(t, { placed, tasks: `web.1@1 ill me; web.1@0 running you 9000` }, useless)
})

t.test('plan() gives up what serves nobody here while another task serves', async t => {
  const useless = 'stop web.0@2 (another task serves the slot)'
  const tasks = 'web.0@2 preparing me; web.0@1 running other 100'
  check(t, { placed: 'web.0:you', tasks }, useless)
})

t.test('plan() leaves the slot to the owner’s old task, or to one of two others', async t => {
  const placed = 'web.0:you'
  const gone = 'stop web.0@1 (another node runs it now)'
  const here = 'web.0@1 running me 9000'
  check(t, { placed, tasks: `${here}; web.0@0 running you ${MONITOR_MS}` }, gone)
  check(t, { placed, tasks: `${here}; web.0@3 running you ${MONITOR_MS - 1}` }, '')
  check(t, { placed, tasks: `${here}; web.0@0 running other ${MONITOR_MS}` }, gone)
  check(t, { placed, tasks: `${here}; web.0@3 running other ${MONITOR_MS}` }, '')
  const [one, another] = ['web.0@2 running me 9000', 'web.0@1 running other 9000']
  check(t, { placed, tasks: `${one}; ${another}` }, '')
  check(t, { placed, tasks: `web.0@2 running other ${MONITOR_MS}; ${here}` }, gone)
  const app: Partial<AppInput> = { update: { order: 'stop-first' } }
  const gate = { makeWay: () => ({ reason: 'later' }) }
  check(t, { placed, app, gate, tasks: `${here}; web.0@0 running you ${MONITOR_MS}` }, gone)
})

t.test('plan() lets two nodes try a slot that nobody serves, and no third', async t => {
  const placed = 'web.0:you'
  const here = 'web.0@2 preparing me; web.0@2 preparing you'
  check(t, { placed, tasks: here }, '')
  const third = `web.0@2 preparing me; web.0@1 preparing other`
  check(t, { placed, tasks: third }, 'stop web.0@2 (another node tries it)')
})

t.test('plan() starts no third task of a slot', async t => {
  const two = 'web.0: the slot has two tasks already, one of which must end first'
  const old = 'web.0@1 running me 9000'
  check(t, { placed: 'web.0:me', tasks: `${old}; web.0@2 preparing you` }, two)
  check(t, { placed: 'web.0:me', tasks: `${old}; web.0@0 running you 100` }, two)
  const ill = 'web.0@1 ill me; web.0@2 preparing you'
  check(
    t,
    { placed: 'web.0:me', tasks: ill },
    `stop web.0@1 (a newer revision takes its place); ${two}`,
  )
})

t.test('plan() ends an old task once another node has served the new revision', async t => {
  const old = 'web.0@1 running me 9000'
  const taken = `${old}; web.0@2 running you ${MONITOR_MS}`
  const gate: Partial<Gate> = {
    start: (_slot, _app, hasOld) => (hasOld ? undefined : { reason: 'a move' }),
  }
  const ended = 'stop web.0@1 (a newer revision runs); start web.0'
  check(t, { placed: 'web.0:me', tasks: taken, gate }, ended)
})

t.test('plan() waits for slots that a superseded rollout left on their way', async t => {
  const placed = 'web.0:me web.1:you'
  const wait = 'web.0: the rollout waits for /web.1 to serve the new revision'
  const left = 'web.0@1 running me 9000; web.1@0 running you 9000; web.1@1 running you 10'
  check(t, { placed, tasks: left }, wait)
  const once: Partial<AppInput> = { update: { order: 'stop-first' } }
  const down = 'web.0@1 running me 9000; web.1@1 preparing you'
  check(t, { placed, tasks: down, app: once }, wait)
  check(t, { placed, tasks: down }, 'start web.0')
  const full: Partial<AppInput> = { resources: { memMb: 600 } }
  check(t, { placed, tasks: down, app: full, oldMemMb: 600 }, wait)
})

t.test('plan() hands a task that must never run twice over when its turn comes', async t => {
  const app: Partial<AppInput> = { update: { order: 'stop-first' } }
  const scene = { placed: 'web.0:you web.1:you', app }
  const gone = 'stop web.1@1 (it belongs to another node, and must not run twice)'
  check(t, { ...scene, tasks: 'web.1@1 running me 9000; web.0@1 running you 9000' }, '')
  check(t, { ...scene, tasks: `web.1@1 running me 9000; web.0@2 running you ${MONITOR_MS}` }, gone)
  check(t, { ...scene, tasks: 'web.1@1 ill me; web.0@1 running you 9000' }, '')
  check(t, { ...scene, tasks: 'web.1@1 ill me; web.0@2 preparing you' }, gone)
})

t.test('plan() replaces what its checks have given up, after its time', async t => {
  const sick = { placed: 'web.0:me', tasks: 'web.0@2 unhealthy me' }
  check(t, sick, 'stop web.0@2 (its health checks failed); start web.0')
  const later = { ...sick, retryAtMs: NOW + 1 }
  check(
    t,
    later,
    'stop web.0@2 (its health checks failed); web.0: it failed here and backs off before the next try',
  )
})

t.test('plan() keeps the better of two tasks of one slot', async t => {
  const tasks = 'web.0@2 running me; web.0@2 running me 10'
  check(t, { placed: 'web.0:me', tasks }, 'stop web.0@2 (the slot runs twice here)')
})

t.test('plan() makes way for a new task where the node has no room for both', async t => {
  const app: Partial<AppInput> = { resources: { memMb: 600 } }
  check(
    t,
    { app, oldMemMb: 600, placed: 'web.0:me', tasks: 'web.0@1 running me 9000' },
    'stop web.0@1 (a newer revision takes its place); web.0: the node has no room for both: the old task must end first',
  )
})

t.test('plan() waits for room, and after a while takes as much as it needs', async t => {
  const app: Partial<AppInput> = { resources: { memMb: 400 } }
  const full = {
    app,
    oldMemMb: 400,
    placed: 'web.0:me web.1:you web.2:you',
    tasks: 'web.1@2 running me 9000; web.2@2 running me 9000',
  }
  const wait = 'web.0: the node has no room yet: needs 400 memMb, 200 of 1000 are free'
  check(t, full, wait)
  check(t, { ...full, waitingMs: ROOM_PATIENCE_MS - 1 }, wait)
  check(
    t,
    { ...full, waitingMs: ROOM_PATIENCE_MS },
    `stop web.1@2 (its room is needed for what belongs here); ${wait}`,
  )
  const going = 'web.1@2 stopping me; web.2@2 running me 9000'
  check(t, { ...full, tasks: going, waitingMs: ROOM_PATIENCE_MS }, wait)
})

t.test('plan() takes the room of its own old tasks, but only where that helps', async t => {
  const scene = {
    oldMemMb: 600,
    placed: 'web.0:me web.1:me',
    tasks: 'web.1@1 running me 9000',
    waitingMs: ROOM_PATIENCE_MS,
  }
  const rollout = 'web.1: the rollout waits for /web.0 to serve the new revision'
  check(
    t,
    { ...scene, app: { resources: { memMb: 450 } } },
    `stop web.1@1 (its room is needed for what belongs here); web.0: the node has no room yet: needs 450 memMb, 400 of 1000 are free; ${rollout}`,
  )
  check(
    t,
    { ...scene, app: { resources: { memMb: 1100 } } },
    `web.0: the node has no room yet: needs 1100 memMb, 400 of 1000 are free; ${rollout}`,
  )
})

t.test('plan() says when to look again at a task that is to go', async t => {
  const { againAtMs } = plan({
    self: ME,
    nowMs: NOW,
    apps: new Map([
      [
        '/web' as AppId,
        {
          id: '/web' as AppId,
          revision: '2' as RevisionId,
          spec: appSchema.parse({ id: '/web', command: 'serve' }),
        },
      ],
    ]),
    placed: new Map([['/web.0' as SlotId, 'you' as NodeId]]),
    unplaced: new Set(),
    own: [],
    local: [
      {
        ...readTask('web.0@2 running me 9000'),
        spec: appSchema.parse({ id: '/web', command: 'serve' }),
        mustReplace: false,
        hasServed: true,
      },
    ],
    remote: () => [readTask('web.0@2 running you 500')],
    room: createRoom({ cpus: 4, memMb: 1000, diskMb: 0, gpus: 0 }, []),
    gate: OPEN,
    retryAtMs: () => undefined,
    isRefused: () => false,
    waitingForRoomSinceMs: () => undefined,
    isSettled: true,
  })
  t.equal(againAtMs, NOW + MONITOR_MS - 500)
})

t.test('plan() starts only what the cluster lets pass', async t => {
  const hold = { reason: 'not now', untilMs: NOW + 500 }
  const claimed: Partial<AppInput> = { onPartition: { isolated: 'stop' } }
  const needsClaim = { reason: 'no claim', forClaim: true }
  check(t, { placed: 'web.0:me', gate: { start: () => hold } }, 'web.0: not now')
  check(t, { placed: 'web.0:me', gate: { go: () => needsClaim } }, 'web.0: no claim')
  check(t, { placed: 'web.0:me', app: claimed }, 'start web.0')
  check(
    t,
    {
      placed: 'web.0:me web.1:me',
      app: { resources: { memMb: 900 } },
      gate: { go: () => needsClaim },
    },
    'web.0: no claim; web.1: the node has no room yet: needs 900 memMb, 100 of 1000 are free',
  )
})

t.test('plan() ends a task whose claim has run out, wherever its slot belongs', async t => {
  const app: Partial<AppInput> = { onPartition: { isolated: 'stop' } }
  const gate = { claimEndMs: () => NOW }
  const stopped = 'stop web.0@2 (no majority of the nodes grants it any more)'
  const tasks = 'web.0@2 running me 9000'
  check(t, { placed: 'web.0:me', tasks, app, gate }, stopped)
  check(t, { placed: 'web.0:you', tasks, app, gate }, stopped)
  const unsettled = `${stopped}; web.0: the node is still looking for the others`
  check(t, { placed: 'web.0:me', tasks, app, gate, isSettled: false }, unsettled)
  check(t, { placed: 'web.0:me', tasks, app, gate: { claimEndMs: () => NOW + 1 } }, '')
  check(t, { placed: 'web.0:me', tasks, gate }, '')
})

t.test('plan() keeps a task that must never run twice until its slot may change hands', async t => {
  const app: Partial<AppInput> = { update: { order: 'stop-first' } }
  const scene = { placed: 'web.0:you', tasks: 'web.0@2 running me 9000', app }
  check(t, { ...scene, gate: { makeWay: () => ({ reason: 'later' }) } }, '')
  check(t, scene, 'stop web.0@2 (it belongs to another node, and must not run twice)')
})

t.test('plan() waits for the end of a sick task that must never run twice', async t => {
  const tasks = 'web.0@2 unhealthy me 9000'
  check(
    t,
    { placed: 'web.0:me', tasks, app: { update: { order: 'stop-first' } } },
    'stop web.0@2 (its health checks failed); web.0: the old task must end first',
  )
  check(t, { placed: 'web.0:me', tasks }, 'stop web.0@2 (its health checks failed); start web.0')
})
