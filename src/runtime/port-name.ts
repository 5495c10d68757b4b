import type { TaskPort } from '../model/task.ts'

/** A port as the node sees it. */
export type HostPort = Pick<TaskPort, 'hostPort' | 'protocol'>

/** Names a port so that two are the same port exactly when their names are equal: `tcp 80`. */
export function nameOfPort({ protocol, hostPort }: HostPort): string {
  return `${protocol} ${hostPort}`
}
