import { readFileSync, readdirSync } from 'node:fs'
import { mustAsk } from '../testbed/engine-api.ts'

/** Kills a daemon and all its tasks at once, as a power cut would. */
export async function killWithTasks(
  daemon: number,
  node: string,
  engine: string | undefined,
): Promise<void> {
  const groups = childrenOf(daemon)
  process.kill(daemon, 'SIGKILL')
  // A task leads a process group of its own: the whole group goes.
  for (const group of groups) {
    try {
      process.kill(-group, 'SIGKILL')
    } catch (error) {
      // It ended between being listed and being killed.
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
    }
  }
  if (engine === undefined) return
  const filters = JSON.stringify({ label: [`shoal.node=${node}`] })
  const listed = await mustAsk(engine, {
    method: 'GET',
    path: `/containers/json?filters=${encodeURIComponent(filters)}`,
  })
  const containers = JSON.parse(listed) as { Id: string }[]
  await Promise.all(
    containers.map(
      async ({ Id }) => await mustAsk(engine, { method: 'POST', path: `/containers/${Id}/kill` }),
    ),
  )
}

/** The processes whose parent is `pid`, as /proc tells. */
export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(candidate => parentOf(candidate) === pid)
}

function parentOf(pid: number): number | undefined {
  try {
    // After the name in parentheses, which may hold anything: state, then the parent.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return undefined // It ended while we looked.
  }
}
