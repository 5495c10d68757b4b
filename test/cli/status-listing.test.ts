import t, { type Test } from 'tap'
import type { ElsewhereLine, StatusAnswer } from '../../src/api/shapes.ts'
import { showStatus } from '../../src/cli/status-listing.ts'

const NOW_MS = Date.parse('2026-03-01T03:00:00Z')

const calm = {
  cluster: 'c',
  node: 'id',
  name: 'n1',
  version: '0.1.0',
  uptimeMs: 3_600_000,
  dataDir: '/d',
  nodes: { admitted: 3, alive: 3, suspect: 0, missing: 0, majority: true, notAlive: [] },
  elsewhere: [],
  twins: [],
  apps: 1,
  slots: { wanted: 2, running: 2, pending: 0 },
  conflicts: [],
  dns: { address: '10.0.0.1', port: 53, domain: 'shoal' },
} as unknown as StatusAnswer

function shown(t: Test, changes: Partial<StatusAnswer>): string[] {
  const written = t.capture(process.stdout, 'write')
  showStatus({ ...calm, ...changes }, NOW_MS)
  written.restore()
  return written().flatMap(({ args }) => String(args[0]).trimEnd().split('\n'))
}

const slotsOf = (app: string, slots: Readonly<Record<string, boolean>>): ElsewhereLine['slots'] =>
  Object.entries(slots).map(([suffix, alsoSeen]) => ({
    slot: `${app}.${suffix}` as ElsewhereLine['slots'][number]['slot'],
    node: 'n3',
    alsoSeen,
  }))

t.test('showStatus() says nothing of a split when there is none', async t => {
  t.strictSame(shown(t, {}), [
    'node      n1 (id), up 60m, version 0.1.0',
    'cluster   c',
    'nodes     I see 3 of 3 admitted nodes',
    'apps      1 app, 2 of 2 slots running',
    'dns       10.0.0.1 port 53, domain shoal',
  ])
})

t.test(
  'showStatus() tells somebody who was woken what is missing, since when, and what may run twice',
  async t => {
    const web = slotsOf('/web', { 0: true, 3: false })
    const lines = shown(t, {
      nodes: {
        admitted: 5,
        alive: 2,
        suspect: 0,
        missing: 3,
        majority: false,
        sinceMs: NOW_MS - 240_000,
        notAlive: [
          { name: 'n3', verdict: 'dead', sinceMs: NOW_MS - 240_000 },
          { name: 'n4', verdict: 'left', sinceMs: NOW_MS - 20_000 },
          { name: 'n5', verdict: 'unseen', sinceMs: undefined },
        ],
      },
      elsewhere: [
        { app: '/db', isolated: 'stop', slots: slotsOf('/db', { 0: false }) },
        { app: '/job', isolated: 'keep', slots: slotsOf('/job', { 0: true }) },
        { app: '/web', isolated: 'keep', slots: web },
      ] as unknown as ElsewhereLine[],
      brake: { sinceMs: NOW_MS, lost: 4, of: 10, startIntervalMs: 10_000 },
      twins: [{ node: 'n2', address: '10.0.0.9' }],
    })
    t.strictSame(lines.slice(2, -2), [
      'nodes     I see 2 of 5 admitted nodes, since 2026-03-01T02:56:00Z (4m ago)',
      '          n3: dead, no answer for 4m',
      '          n4: left, no answer for 20s',
      '          n5: not heard of since this daemon started 60m ago: what it runs is not known',
      '          this side is not a majority: the same work may be running on the other side',
      'unseen    may still run on n3, which cannot be seen from here:',
      '          /db: slot 0; a side without a majority ends them (isolated: stop)',
      '          /job: slot 0; this side runs it, too',
      '          /web: slots 0 and 3; this side runs slot 0, too',
      'brake     4 of 10 nodes were lost at once: each node starts one task in their place every 10s',
      'twin      n2 is also what another machine, at 10.0.0.9, calls itself: give that one a key of its own',
    ])
  },
)
