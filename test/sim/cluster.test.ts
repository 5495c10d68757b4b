import t from 'tap'
import { runChaos } from './chaos.ts'

// Replay one failure with SEED=123; search for new ones with SEEDS=10000.
const only = process.env['SEED']
const first = Number(only ?? 1)
const count = only === undefined ? Number(process.env['SEEDS'] ?? 200) : 1
const GROUP = 20

for (let group = first; group < first + count; group += GROUP) {
  const last = Math.min(group + GROUP, first + count) - 1
  t.test(
    `a cluster keeps its invariants and comes to rest (seeds ${group} to ${last})`,
    async t => {
      for (let seed = group; seed <= last; seed++) {
        const { problems, world } = runChaos(seed)
        if (problems.length > 0 || only !== undefined) {
          t.comment(`seed ${seed}: the story of the last events`)
          for (const line of world.story.last(only === undefined ? 80 : 4_000)) t.comment(line)
        }
        t.strictSame(problems, [], `seed ${seed}`)
      }
    },
  )
}
