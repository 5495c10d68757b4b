import type { AppSpec } from '../model/app.ts'
import type { RevisionId, SlotId, TaskId } from '../model/ids.ts'
import { appOfSlot } from '../model/ids.ts'
import type { TaskPort } from '../model/task.ts'

/** Of a task, all that its environment tells it. */
export interface TaskEnvInput {
  readonly task: TaskId
  readonly slot: SlotId
  readonly revision: RevisionId
  readonly spec: AppSpec
  readonly ports: readonly TaskPort[]
  /** Higher than that of every earlier task of the slot. */
  readonly fence: number
  readonly node: { readonly name: string; readonly address: string }
  readonly cluster: string
}

/**
 * The whole environment of a task: Shoal's own names, the ports under the names
 * that Marathon gave them, and the app's, which win.
 *
 * `PORT0`, `PORT1`, … (and `PORT`, `PORTS`, `PORT_NAME`) are the ports to listen
 * on; `HOST_PORT0`, … are where the outside reaches them, which differs under
 * bridge networking. `HOST` is the node's address. `SHOAL_FENCING_TOKEN` is for a storage that
 * refuses who comes with a lower one than the highest it has seen.
 */
export function taskEnv(input: TaskEnvInput): Record<string, string> {
  const { task, slot, revision, spec, ports, fence, node, cluster } = input
  const app = appOfSlot(slot)
  const env: Record<string, string> = {
    HOST: node.address,
    SHOAL_APP: app,
    SHOAL_SLOT: slot,
    SHOAL_TASK: task,
    SHOAL_REVISION: revision,
    SHOAL_FENCING_TOKEN: String(fence),
    SHOAL_NODE: node.name,
    SHOAL_CLUSTER: cluster,
  }
  if (spec.image === undefined) env['SHOAL_NODE_BIN'] = process.execPath
  for (const [index, { name, containerPort, hostPort }] of ports.entries()) {
    env[`PORT${index}`] = String(containerPort)
    env[`HOST_PORT${index}`] = String(hostPort)
    if (name !== '') env[`PORT_${name.toUpperCase().replaceAll('-', '_')}`] = String(containerPort)
  }
  if (ports[0] !== undefined) {
    env['PORT'] = String(ports[0].containerPort)
    env['PORTS'] = ports.map(({ containerPort }) => containerPort).join(',')
  }
  if (spec.carried?.format === 'marathon') {
    env['MARATHON_APP_ID'] = app
    env['MARATHON_APP_VERSION'] = revision
    env['MESOS_TASK_ID'] = task
    env['MARATHON_APP_RESOURCE_CPUS'] = String(spec.resources.cpus)
    env['MARATHON_APP_RESOURCE_MEM'] = String(spec.resources.memMb)
    if (spec.image !== undefined) env['MARATHON_APP_DOCKER_IMAGE'] = spec.image
  }
  return { ...env, ...spec.env }
}
