import type { NodeId, RevisionId, SlotId } from '../../../src/model/ids.ts'
import { appOfSlot, taskIdOf } from '../../../src/model/ids.ts'
import type { NodeRecord } from '../../../src/model/node-record.ts'
import type { Task, TaskState } from '../../../src/model/task.ts'

/** A node's record with these tasks, and nothing else to tell. */
export function recordOf(node: NodeId, tasks: readonly Task[]): NodeRecord {
  return {
    node,
    incarnation: 1,
    seq: 1,
    name: node,
    address: '10.0.0.1',
    multiaddrs: [],
    probePort: 7440,
    dnsPort: 53,
    labels: {},
    runtimes: { docker: true, process: true },
    capacity: { cpus: 4, memMb: 4096, diskMb: 0, gpus: 0 },
    version: '0.1.0',
    tasks,
    refusals: [],
    waits: [],
    inputsHash: '',
    placementHash: '',
    leaving: false,
    steady: true,
    flapping: false,
    fence: 0,
  }
}

/** The one task of a slot. */
export function taskOf(slot: SlotId, state: TaskState): Task {
  return {
    id: taskIdOf(slot, 'a'),
    app: appOfSlot(slot),
    slot,
    revision: 'r1' as RevisionId,
    state,
    health: 'none',
    ports: [],
    sinceMs: 0,
    message: '',
  }
}
