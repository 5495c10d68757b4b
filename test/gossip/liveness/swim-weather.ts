import type { NodeId } from '../../../src/model/ids.ts'
import { SwimWorld, type SwimWorldOptions } from './swim-world.ts'

/** A cluster in which everybody knows everybody, some time after it began. */
export function whole(options: SwimWorldOptions): SwimWorld {
  const world = new SwimWorld(options)
  // Looked at now and then only: it compares everybody with everybody.
  while (!world.isWhole) {
    if (world.nowMs > 20_000) throw new Error(`seed ${options.seed}: not whole after 20 s`)
    world.run(100)
  }
  world.run(2000 + world.random() * 1000)
  return world
}

/**
 * Makes a node run in snatches from now on: off for up to `pauseMs` at a time, and one time in twenty for 1 s to `stallMs`. All of
 * it stops, the thread of liveness too, as on a machine without processor time to spare.
 */
export function starve(
  world: SwimWorld,
  node: NodeId,
  { pauseMs = 400, stallMs = 2000 }: { readonly pauseMs?: number; readonly stallMs?: number } = {},
): void {
  const isLong = world.random() < 0.05
  const forMs = isLong
    ? 1000 + world.random() * (stallMs - 1000)
    : 20 + world.random() * (pauseMs - 20)
  world.freeze(node, forMs)
  world.at(world.nowMs + forMs + 20 + world.random() * 800, () =>
    starve(world, node, { pauseMs, stallMs }),
  )
}

/** The p-th fraction of the values: 0.5 is the median. */
export function quantile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? Number.NaN
}
