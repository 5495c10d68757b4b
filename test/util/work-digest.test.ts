import t from 'tap'
import { appSchema, type AppInput } from '../../src/model/app.ts'
import { workDigest } from '../../src/util/work-digest.ts'

const base = { id: '/web', image: 'web:1', ports: [{ port: 80 }] } as AppInput

t.test('workDigest() tells apart what a running task cannot become', async t => {
  const before = workDigest(appSchema.parse(base))
  const others: readonly Partial<AppInput>[] = [
    { image: 'web:2' },
    { env: { A: '1' } },
    { command: ['serve'] },
    { ports: [{ port: 81 }] },
    { resources: { cpus: 2 } },
    { limits: { memMb: 64 } },
    { network: 'host' },
    { labels: { team: 'a' } },
    { user: 'nobody' },
    { privileged: true },
  ]
  for (const change of others) {
    t.not(workDigest(appSchema.parse({ ...base, ...change })), before, JSON.stringify(change))
  }
})

t.test('workDigest() is the same for what changes around a running task', async t => {
  const before = workDigest(appSchema.parse(base))
  const others: readonly Partial<AppInput>[] = [
    { instances: 7 },
    { health: [{ kind: 'tcp' }] },
    { constraints: [{ field: 'disk', operator: 'IS', value: 'ssd' }] },
    { update: { parallelism: 3 } },
    { aliases: ['www'] },
    { maxPerNode: 1 },
    { placement: 'sticky' },
  ]
  for (const change of others) {
    t.equal(workDigest(appSchema.parse({ ...base, ...change })), before, JSON.stringify(change))
  }
})
