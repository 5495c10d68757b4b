import { createDesiredDoc } from '../../../src/crdt/desired-doc.ts'
import type { NodeRecord, SignedRecord } from '../../../src/model/node-record.ts'
import type { NodeMachineOptions } from '../../../src/node/machine/node-machine-options.ts'
import { NodeMachine } from '../../../src/node/machine/node-machine.ts'
import { toBytes } from '../../../src/util/bytes.ts'
import { createRandom } from '../../../src/util/random.ts'
import { nodeOf, signerOf, verify } from '../../sim/keys.ts'

/** The document of a cluster of nodes 0 to `count` − 1, as node 0 made it. */
export function foundedBy(count: number): Uint8Array[] {
  const self = nodeOf(0)
  const doc = createDesiredDoc({ self, clientId: 1, sign: signerOf(self), verify })
  return Array.from({ length: count }, (_, index) => {
    const edit = { kind: 'admit', node: nodeOf(index), name: `n${index}` } as const
    const edited = doc.edit(edit, { timeMs: 0 })
    if (!edited.ok || edited.update === undefined) throw new Error('not admitted')
    return edited.update
  })
}

/** The machine of node 0 in a cluster of `count`, at time 0, before anything happened to it. */
export function makeMachine(count: number, options: Partial<NodeMachineOptions> = {}): NodeMachine {
  const self = nodeOf(0)
  return new NodeMachine({
    self,
    incarnation: 1,
    clientId: 1,
    facts: {
      name: 'n0',
      address: '10.0.0.1',
      multiaddrs: [],
      probePort: 7440,
      dnsPort: 53,
      labels: {},
      runtimes: { docker: false, process: true },
      capacity: { cpus: 4, memMb: 1024, diskMb: 0, gpus: 0 },
      version: '0.1.0',
    },
    engines: ['process'],
    sign: signerOf(self),
    verify,
    random: createRandom(1),
    drawRun: () => 'run-0',
    updates: foundedBy(count),
    nowMs: 0,
    ...options,
  })
}

/** What node `index` says of itself. */
export function recordOf(index: number, fields: Partial<NodeRecord> = {}): NodeRecord {
  return {
    node: nodeOf(index),
    incarnation: 1,
    seq: 1,
    name: `n${index}`,
    address: `10.0.0.${index + 1}`,
    multiaddrs: [],
    probePort: 7440,
    dnsPort: 53,
    labels: {},
    runtimes: { docker: false, process: true },
    capacity: { cpus: 4, memMb: 1024, diskMb: 0, gpus: 0 },
    version: '0.1.0',
    tasks: [],
    refusals: [],
    waits: [],
    inputsHash: '',
    placementHash: '',
    leaving: false,
    steady: true,
    flapping: false,
    fence: 0,
    ...fields,
  }
}

/** A record with the signature of node `by`, which is its owner unless somebody lies. */
export function signedBy(record: NodeRecord, by = record.node): SignedRecord {
  return { record, signature: signerOf(by)(toBytes(record)) }
}
