/** The worker of liveness, with a wall clock that is a day ahead or behind, in turn, whenever it is read. */

const DAY_MS = 86_400_000
const { now } = Date
let direction = 1

Date.now = () => {
  direction = -direction
  return now() + direction * DAY_MS
}

await import('../../../src/gossip/liveness/worker.ts')
