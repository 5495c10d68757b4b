import fc from 'fast-check'
import type { AppInput } from '../../src/model/app.ts'

const options = { requiredKeys: [] as [] }
const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$/)
const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 })
const port = fc.integer({ min: 0, max: 65_535 })
const duration = fc.constantFrom('0s', '250ms', '1s', '1.5h', '1000ms', '30s')
const timing = { grace: duration, interval: duration, timeout: duration, maxFailures: fc.nat(9) }
const command = fc.oneof(text, fc.array(text, { minLength: 1, maxLength: 4 }))
const key = text.filter(name => name !== '__proto__')

/** Apps of the schema, with every field somewhere, for properties of printing and parsing. */
export const anyApp: fc.Arbitrary<AppInput> = fc
  .record(
    {
      id: fc.array(label, { minLength: 1, maxLength: 3 }).map(path => `/${path.join('/')}`),
      image: fc.constant('web:1'),
      schema: fc.constant(1),
      forcePull: fc.boolean(),
      entrypoint: fc.array(text, { minLength: 1, maxLength: 3 }),
      command,
      mode: fc.constantFrom('replicated', 'global'),
      instances: fc.nat(10_000),
      resources: fc.record(
        {
          cpus: fc.constantFrom(0, 0.1, 2.5),
          memMb: fc.nat(9_999),
          diskMb: fc.nat(9),
          gpus: fc.nat(4),
        },
        options,
      ),
      limits: fc.record(
        { cpus: fc.constantFrom(0.01, 4), memMb: fc.integer({ min: 6, max: 999 }) },
        options,
      ),
      network: fc.constantFrom('bridge', 'host'),
      ports: fc.uniqueArray(
        fc.record(
          {
            name: label,
            port,
            hostPort: fc.integer({ min: 1, max: 65_535 }),
            protocol: fc.constantFrom('tcp', 'udp'),
          },
          { requiredKeys: ['name', 'hostPort'] },
        ),
        { maxLength: 4, selector: own => own.name, comparator: (one, other) => one === other },
      ),
      env: fc.dictionary(
        key.filter(name => !/[=\0]/.test(name)),
        fc.string({ unit: 'binary' }),
      ),
      labels: fc.dictionary(key, fc.string({ unit: 'binary' })),
      volumes: fc.array(
        fc.record(
          { source: text, target: text.map(path => `/${path}`), readOnly: fc.boolean() },
          { requiredKeys: ['source', 'target'] },
        ),
        { maxLength: 3 },
      ),
      health: fc.array(
        fc.record(
          { kind: fc.constant('command'), command, ...timing },
          { requiredKeys: ['kind', 'command'] },
        ),
        {
          maxLength: 3,
        },
      ),
      constraints: fc.array(
        fc.oneof(
          fc.record({ field: text, operator: fc.constantFrom('UNIQUE', 'CLUSTER', 'GROUP_BY') }),
          fc.record({ field: text, operator: fc.constant('MAX_PER'), value: fc.constant('2') }),
          fc.record({ field: text, operator: fc.constant('IS'), value: text }),
        ),
        { maxLength: 3 },
      ),
      maxPerNode: fc.integer({ min: 1, max: 9 }),
      placement: fc.constantFrom('hash', 'sticky'),
      update: fc.record(
        {
          order: fc.constantFrom('start-first', 'stop-first'),
          parallelism: fc.integer({ min: 1, max: 9 }),
          monitor: duration,
        },
        options,
      ),
      backoff: fc.record(
        { initial: duration, factor: fc.constantFrom(1, 1.15, 2), max: duration },
        options,
      ),
      stopGrace: duration,
      user: text,
      workdir: text,
      tty: fc.boolean(),
      privileged: fc.boolean(),
      aliases: fc.array(label, { maxLength: 3 }),
      carried: fc.record({
        format: fc.constantFrom('marathon', 'kubernetes'),
        fields: fc.dictionary(key, fc.jsonValue({ maxDepth: 2 }).map(asJson).filter(isPlain)),
      }),
    },
    { requiredKeys: ['id', 'image'] },
  )
  .filter(({ ports }) => new Set(ports?.map(own => own.hostPort)).size === (ports?.length ?? 0))
  .map(app => app as unknown as AppInput)

/** JSON has no -0. */
function asJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

/** We have no `__proto__`. */
function isPlain(value: unknown): boolean {
  return !JSON.stringify(value).includes('__proto__')
}
