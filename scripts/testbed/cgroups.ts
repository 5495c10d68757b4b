import { existsSync, readFileSync, readdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { readProcess, type ProcessRef } from './process-table.ts'

const ROOT = '/sys/fs/cgroup'

/** All processes in a control group and below, whichever hierarchies (v1) or tree (v2) hold it. */
export function processesOf(group: string): readonly ProcessRef[] {
  const pids = new Set(
    foldersOf(group).flatMap(folder =>
      readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number),
    ),
  )
  return [...pids].map(readProcess).filter(entry => entry !== undefined)
}

/** Removes a control group that holds no process, and those below it. */
export function removeCgroup(group: string): void {
  for (const folder of foldersOf(group)) rmdirSync(folder)
}

/** The folders of a group, innermost first. */
function foldersOf(group: string): readonly string[] {
  if (!existsSync(ROOT)) return []
  return ['', ...childrenOf(ROOT)].flatMap(hierarchy => descend(join(ROOT, hierarchy, group)))
}

function descend(folder: string): string[] {
  if (!existsSync(join(folder, 'cgroup.procs'))) return []
  return [...childrenOf(folder).flatMap(name => descend(join(folder, name))), folder]
}

function childrenOf(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .map(({ name }) => name)
}
