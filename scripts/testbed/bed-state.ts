import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Faults } from './faults.ts'
import { isRunning, refer, type ProcessRef } from './process-table.ts'

/**
 * What is written down of a bed, before anything of it exists, so that `down` can remove it after any
 * crash. All names follow from the number of the bed; see {@link bedNames}.
 */
export interface BedState {
  /** 0 to 255; the third number of its addresses. */
  readonly id: number
  readonly hosts: number
  /** The process that made the bed and removes it with its end; absent for one made by hand. */
  readonly owner?: ProcessRef
  readonly faults: Faults
  /** Docker engine of each host that has one, by host number. */
  readonly engines: Readonly<Record<number, ProcessRef>>
  /** Shoal daemon of each host that has one, by host number. */
  readonly daemons: Readonly<Record<number, ProcessRef>>
}

/** The names that a bed takes on the machine. */
export interface BedNames {
  readonly dir: string
  /** The namespace that holds the bridge: no rule or setting of the machine itself is touched. */
  readonly switch: string
  /** The machine's own end of the cable into the bridge. */
  readonly uplink: string
  readonly gateway: string
  readonly cgroup: string
  host(this: void, number: number): HostNames
}

/** The names of one host. */
export interface HostNames {
  readonly namespace: string
  readonly port: string
  readonly address: string
  readonly dir: string
}

/** Beds at once, one 10.77.N.0/24 each. */
const MAX_BEDS = 256
const BASE = '/var/lib/shoal-testbed'

/** What bed `id` is called, everywhere. */
export function bedNames(id: number): BedNames {
  const name = `shoalbed${id}`
  const dir = join(BASE, String(id))
  return {
    dir,
    switch: name,
    uplink: name,
    gateway: `10.77.${id}.1`,
    cgroup: name,
    host: number => ({
      namespace: `${name}-${number}`,
      port: `v${number}`,
      address: `10.77.${id}.${10 + number}`,
      dir: join(dir, `h${number}`),
    }),
  }
}

/** Takes the lowest free number and writes the state of a bed that has nothing yet. */
export function allocateBed(hosts: number, { keep }: { readonly keep: boolean }): BedState {
  mkdirSync(BASE, { recursive: true, mode: 0o700 })
  for (let id = 0; id < MAX_BEDS; id++) {
    if (!takeFolder(bedNames(id).dir)) continue
    const owner = keep ? {} : { owner: refer(process.pid) }
    const state: BedState = { id, hosts, ...owner, faults: {}, engines: {}, daemons: {} }
    writeState(state)
    return state
  }
  throw new Error(`All ${MAX_BEDS} test beds are taken: run \`npm run testbed -- down --all\``)
}

/** Writes the state down, whole or not at all. */
export function writeState(state: BedState): void {
  const { dir } = bedNames(state.id)
  writeFileSync(join(dir, 'state.json.new'), JSON.stringify(state))
  renameSync(join(dir, 'state.json.new'), join(dir, 'state.json'))
}

/** All beds on this machine, lowest number first. */
export function listBeds(): readonly BedState[] {
  return listFolders(BASE)
    .map(name => readState(Number(name)))
    .filter(state => state !== undefined)
    .toSorted((a, b) => a.id - b.id)
}

/** The state of one bed, or undefined if there is none. */
export function readState(id: number): BedState | undefined {
  const { dir } = bedNames(id)
  try {
    return JSON.parse(readFileSync(join(dir, 'state.json'), 'utf8')) as BedState
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Beds whose maker ended without removing them. */
export function abandonedBeds(): readonly BedState[] {
  return listBeds().filter(({ owner }) => owner !== undefined && !isRunning(owner))
}

/** Forgets a bed of which nothing is left. */
export function removeState(id: number): void {
  rmSync(bedNames(id).dir, { recursive: true, force: true })
}

/** Takes a folder if nobody has it: what `mkdir` decides between two that ask at once. */
function takeFolder(dir: string): boolean {
  try {
    mkdirSync(dir, { mode: 0o700 })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function listFolders(dir: string): string[] {
  try {
    return readdirSync(dir, { withFileTypes: true })
      .filter(entry => entry.isDirectory())
      .map(({ name }) => name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
