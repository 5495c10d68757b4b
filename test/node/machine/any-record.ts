import fc from 'fast-check'
import type { AppId, RevisionId, SlotId, TaskId } from '../../../src/model/ids.ts'
import type { NodeRecord } from '../../../src/model/node-record.ts'
import type { Task } from '../../../src/model/task.ts'
import { nodeOf } from '../../sim/keys.ts'

const anyTask: fc.Arbitrary<Task> = fc
  .record({
    index: fc.nat(6),
    nonce: fc.nat(3),
    state: fc.constantFrom('preparing', 'running', 'stopping', 'failed') as fc.Arbitrary<
      Task['state']
    >,
    health: fc.constantFrom('none', 'unknown', 'healthy', 'unhealthy') as fc.Arbitrary<
      Task['health']
    >,
    sinceMs: fc.nat(),
    hostPort: fc.integer({ min: 1, max: 65_535 }),
    exitCode: fc.option(fc.integer({ min: -1, max: 255 }), { nil: undefined }),
  })
  .map(({ index, nonce, hostPort, exitCode, ...rest }) => ({
    ...rest,
    id: `/web.${index}@${nonce}` as TaskId,
    app: '/web' as AppId,
    slot: `/web.${index}` as SlotId,
    revision: 'r1' as RevisionId,
    ports: [{ name: '', protocol: 'tcp', containerPort: 80, hostPort }],
    message: '',
    ...(exitCode !== undefined && { exitCode }),
  }))

/** Any record of node 0, of incarnation 1. */
export const anyRecord: fc.Arbitrary<NodeRecord> = fc
  .record({
    name: fc.constantFrom('a', 'b'),
    labels: fc.dictionary(fc.constantFrom('zone', 'disk'), fc.constantFrom('x', 'y')),
    docker: fc.boolean(),
    memMb: fc.nat(4096),
    leaving: fc.boolean(),
    steady: fc.boolean(),
    flapping: fc.boolean(),
    fence: fc.nat(),
    tasks: fc.uniqueArray(anyTask, { maxLength: 8, selector: ({ id }) => id }),
    refused: fc.boolean(),
    inputsHash: fc.constantFrom('', '00ff'),
  })
  .map(({ docker, memMb, refused, labels, ...rest }) => ({
    ...rest,
    node: nodeOf(0),
    incarnation: 1,
    seq: 1,
    address: '10.0.0.1',
    multiaddrs: ['/ip4/10.0.0.1/tcp/7440'],
    probePort: 7440,
    dnsPort: 53,
    labels: { ...labels },
    runtimes: { docker, process: true },
    capacity: { cpus: 2, memMb, diskMb: 0, gpus: 0 },
    version: '0.1.0',
    refusals: refused
      ? [{ slot: '/web.0' as SlotId, revision: 'r1' as RevisionId, reason: 'no image' }]
      : [],
    waits: [],
    placementHash: '',
  }))
