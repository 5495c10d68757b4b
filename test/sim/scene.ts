import type { Test } from 'tap'
import type { AppSpec } from '../../src/model/app.ts'
import { appOfSlot, type AppId, type SlotId, type TaskId } from '../../src/model/ids.ts'
import { isServing } from '../../src/model/task.ts'
import type { AskedEdit } from './edit-ledger.ts'
import type { SimHost } from './host.ts'
import { World, type WorldOptions } from './world.ts'

/** A task that runs, or is on its way, on a machine that has power. */
export interface LiveTask {
  readonly id: TaskId
  readonly slot: SlotId
  readonly host: SimHost
  readonly version: string
  /** True when its node runs and says that it serves. */
  readonly serves: boolean
}

/** A cluster that has found itself, with these apps at rest. */
export function settled(t: Test, options: WorldOptions, ...specs: readonly AppSpec[]): World {
  const world = new World(options)
  world.run(5_000)
  if (specs.length > 0) world.edit(world.hosts[0]!, { kind: 'apply', specs, message: '' })
  rest(t, world)
  return world
}

/** Expects the cluster to come to rest within `withinMs`, and nothing to have gone wrong on the way. Gives how long it took. */
export function rest(t: Test, world: World, withinMs = 30_000): number {
  const { tookMs, unrest } = world.settle(withinMs)
  const problems = [...unrest, ...world.violations, ...world.ledger.check(world.up)]
  if (problems.length > 0) for (const line of world.story.last(60)) t.comment(line)
  t.strictSame(problems, [], `at rest within ${withinMs / 1000} s, and all held`)
  return tookMs
}

/** All tasks that run, in the order of their ids. */
export function liveTasks(world: World): LiveTask[] {
  return world.hosts
    .flatMap(host => {
      const told = host.machine?.book.get(host.node)?.tasks ?? []
      return Array.from(host.tasks.live.values(), ({ task: id, slot, spec }) => {
        const task = told.find(one => one.id === id)
        const serves = task !== undefined && isServing(task)
        return { id, slot, host, version: spec.env['VERSION'] ?? '', serves }
      })
    })
    .toSorted((one, other) => (one.id < other.id ? -1 : 1))
}

/** How many slots are served by anybody. */
export function served(world: World): number {
  return new Set(liveTasks(world).flatMap(({ slot, serves }) => (serves ? [slot] : []))).size
}

/** The machine that a slot runs on. */
export function hostOfSlot(world: World, slot: string): SimHost {
  const found = liveTasks(world).find(task => task.slot === slot)
  if (found === undefined) throw new Error(`${slot} does not run`)
  return found.host
}

/** Makes an edit and waits for its answer. */
export function editNow(world: World, host: SimHost, edit: AskedEdit['edit']): AskedEdit {
  const asked = world.edit(host, edit)
  world.run(5_000, () => asked.result !== undefined)
  return asked
}

/** Applies one app through a host. */
export function applyNow(world: World, host: SimHost, ...specs: readonly AppSpec[]): AskedEdit {
  return editNow(world, host, { kind: 'apply', specs, message: '' })
}

/** Watches a number from now on, besides what is watched already, and remembers its extremes. */
export function watch(world: World, measure: () => number): { min: number; max: number } {
  const seen = { min: Infinity, max: -Infinity }
  const before = world.onStep
  world.onStep = () => {
    before?.()
    const value = measure()
    seen.min = Math.min(seen.min, value)
    seen.max = Math.max(seen.max, value)
  }
  return seen
}

/** The most tasks that any one slot has now, of all apps or of one. */
export function mostPerSlot(world: World, app?: AppId): number {
  const counts = new Map<SlotId, number>()
  for (const { slot } of liveTasks(world)) {
    if (app === undefined || appOfSlot(slot) === app) counts.set(slot, (counts.get(slot) ?? 0) + 1)
  }
  return Math.max(0, ...counts.values())
}
