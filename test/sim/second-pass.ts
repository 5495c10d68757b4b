import type { Effect } from '../../src/node/machine/events.ts'
import type { SimHost } from './host.ts'

/** What a second look at the same facts must not lead to. Claims are renewed and comparisons made, by the clock. */
const ACTS: ReadonlySet<Effect['kind']> = new Set(['start', 'stop', 'remove', 'persist', 'reload'])

/** (9) Has each machine look at the facts twice more, at one moment: a second pass over a cluster at rest does nothing. The simulation is over after that. */
export function stirs(hosts: readonly SimHost[]): string[] {
  return hosts.flatMap(({ name, machine, localMs }) => {
    machine!.handle({ kind: 'ticked' }, localMs)
    const again = machine!.handle({ kind: 'ticked' }, localMs)
    return again
      .filter(({ kind }) => ACTS.has(kind))
      .map(({ kind }) => `(9) ${name} does something on a second pass: ${kind}`)
  })
}
