import { fixedPortsOf, type AppSpec } from '../model/app.ts'
import type { Capacity } from '../model/node-record.ts'

/** What is left of a node's declared capacity, beside the tasks that are there. */
export interface Room {
  fits(spec: AppSpec): boolean
  /** Takes the room of one more task; false, and nothing taken, when there is none. */
  take(spec: AppSpec): boolean
  /** Gives back the room of a task. */
  release(spec: AppSpec): void
  /** What is missing for one more task, in words: `needs 4096 MB, 1200 of 8000 MB are free`. */
  shortage(spec: AppSpec): string
  copy(): Room
}

/** The room of a node of `capacity` that runs `specs`; a port held twice (one old, one new) counts once each. */
export function createRoom(capacity: Capacity, specs: Iterable<AppSpec>): Room {
  const room = roomOf(capacity, { cpus: 0, memMb: 0, diskMb: 0, gpus: 0 }, new Map())
  for (const spec of specs) room.occupy(spec)
  return room
}

interface CountedRoom extends Room {
  /** Takes room even where there is none: what runs, runs. */
  occupy(spec: AppSpec): void
}

function roomOf(
  capacity: Capacity,
  used: Capacity,
  ports: ReadonlyMap<string, number>,
): CountedRoom {
  let taken = { ...used }
  const held = new Map(ports)

  const add = (spec: AppSpec, sign: 1 | -1): void => {
    const { cpus, memMb, diskMb, gpus } = spec.resources
    taken = {
      // Thousandths, so that ten times 0.1 is 1 and not a hair more.
      cpus: Math.round((taken.cpus + sign * cpus) * 1000) / 1000,
      memMb: taken.memMb + sign * memMb,
      diskMb: taken.diskMb + sign * diskMb,
      gpus: taken.gpus + sign * gpus,
    }
    for (const port of fixedPortsOf(spec)) held.set(port, (held.get(port) ?? 0) + sign)
  }
  const shortage = (spec: AppSpec): string => {
    const missing = (['cpus', 'memMb', 'diskMb', 'gpus'] as const)
      .filter(
        kind =>
          spec.resources[kind] > 0 && taken[kind] + spec.resources[kind] > capacity[kind] + 1e-9,
      )
      .map(kind => {
        const free = Math.round(Math.max(0, capacity[kind] - taken[kind]) * 1000) / 1000
        return `needs ${spec.resources[kind]} ${kind}, ${free} of ${capacity[kind]} are free`
      })
    const busy = fixedPortsOf(spec)
      .filter(port => (held.get(port) ?? 0) > 0)
      .map(port => `host port ${port} is taken`)
    return [...missing, ...busy].join(', ')
  }
  const fits = (spec: AppSpec): boolean => shortage(spec) === ''

  return {
    fits,
    shortage,
    take: spec => {
      if (!fits(spec)) return false
      add(spec, 1)
      return true
    },
    occupy: spec => add(spec, 1),
    release: spec => add(spec, -1),
    copy: () => roomOf(capacity, taken, held),
  }
}
