import { appSchema, type AppInput, type AppSpec } from '../../src/model/app.ts'
import type { Duration } from '../../src/model/duration.ts'
import { pick, type Random } from '../../src/util/random.ts'

/** Answered at once by a healthy task. */
const CHECK = {
  kind: 'command',
  command: 'check',
  interval: '1s' as Duration,
  grace: '5s' as Duration,
} as const

/** A plain app of one check a second that backs off at most five seconds. */
export function appOf(id: string, fields: Partial<AppInput> = {}): AppSpec {
  return appSchema.parse({
    id,
    command: 'serve',
    health: [CHECK],
    update: { monitor: '500ms' },
    backoff: { initial: '500ms', max: '5s' },
    stopGrace: '2s',
    ...fields,
  })
}

const IDS = ['/web', '/db', '/shop/cart', '/job', '/edge']

/** Any app, at version `version`: of every kind that a small cluster has room for. */
export function randomApp(random: Random, version: number): AppSpec {
  const id = pick(IDS, random)!
  const port = random() < 0.2 ? 8000 + Math.floor(random() * 2) : undefined
  return appOf(id, {
    ...(random() < 0.6 ? { command: 'serve' } : { command: undefined, image: 'web:1' }),
    env: { VERSION: String(version) },
    mode: random() < 0.12 ? 'global' : 'replicated',
    instances: Math.floor(random() * 6),
    resources: { memMb: 64 + Math.floor(random() * 6) * 96, cpus: 0.1 + random() * 0.5 },
    ports: port === undefined ? [{ port: 0 }] : [{ port, hostPort: port }],
    health: random() < 0.6 ? [CHECK] : [],
    constraints: random() < 0.2 ? [{ field: 'zone', operator: 'UNLIKE', value: 'z0' }] : [],
    ...(random() < 0.15 && { maxPerNode: 1 + Math.floor(random() * 2) }),
    ...(random() < 0.3 && {
      onPartition: {
        lostAfter: pick(['0s', '2s', '6s'], random)! as Duration,
        isolated: random() < 0.7 ? 'stop' : 'keep',
      },
    }),
    placement: random() < 0.25 ? 'sticky' : 'hash',
    update: {
      order: random() < 0.75 ? 'start-first' : 'stop-first',
      parallelism: 1 + Math.floor(random() * 2),
      monitor: pick(['100ms', '500ms', '1s'], random)! as Duration,
    },
  })
}
