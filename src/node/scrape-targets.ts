import { isServing, type Task } from '../model/task.ts'
import type { NodeView, TaskView } from './service.ts'

/** One target, as Prometheus' HTTP service discovery has it. */
export interface ScrapeTarget {
  /** `address:port`. */
  readonly targets: readonly string[]
  readonly labels: Readonly<Record<string, string>>
}

/**
 * Every TCP port of every task that runs, as targets for Prometheus (`http_sd_config`). Tasks that
 * are not healthy are among them, and say so: to scrape only what serves would hide what is ill.
 * All labels are `__meta_` ones, which exist while targets are relabelled and cost no series
 * unless they are kept. What the app labels itself with comes along: `prometheus.io/scrape` is
 * `__meta_shoal_app_label_prometheus_io_scrape`.
 *
 * @param appLabelsOf The labels in an app's manifest.
 * @param zoneOf The zone of a node, or an empty text.
 */
export function* scrapeTargets(
  tasks: Iterable<TaskView>,
  appLabelsOf: (app: Task['app']) => Readonly<Record<string, string>>,
  zoneOf: (node: NodeView) => string,
): Generator<ScrapeTarget> {
  for (const { node, task } of tasks) {
    if (task.state !== 'running' || !isThere(node)) continue
    for (const { protocol, hostPort, name, containerPort } of task.ports) {
      if (protocol !== 'tcp' || hostPort === 0) continue
      yield {
        targets: [hostOf(node.record?.address ?? '', hostPort)],
        labels: {
          __meta_shoal_app: task.app,
          __meta_shoal_slot: task.slot,
          __meta_shoal_task: task.id,
          __meta_shoal_revision: task.revision,
          __meta_shoal_node: node.name,
          __meta_shoal_zone: zoneOf(node),
          __meta_shoal_port_name: name,
          __meta_shoal_container_port: String(containerPort),
          __meta_shoal_health: task.health,
          __meta_shoal_serving: String(isServing(task) && node.verdict?.kind === 'alive'),
          ...Object.fromEntries(
            Object.entries(appLabelsOf(task.app)).map(([key, value]) => [
              `__meta_shoal_app_label_${key.replaceAll(/[^a-zA-Z0-9_]/g, '_')}`,
              value,
            ]),
          ),
        },
      }
    }
  }
}

function isThere({ verdict }: NodeView): boolean {
  return verdict?.kind === 'alive' || verdict?.kind === 'suspect'
}

function hostOf(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
