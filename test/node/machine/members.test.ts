import t from 'tap'
import type { NodeId } from '../../../src/model/ids.ts'
import type { VerdictKind } from '../../../src/model/verdict.ts'
import { Members } from '../../../src/node/machine/members.ts'

const [SELF, A, B, C, D] = ['self', 'a', 'b', 'c', 'd'] as NodeId[] as [
  NodeId,
  NodeId,
  NodeId,
  NodeId,
  NodeId,
]

function told(admitted: readonly NodeId[], verdicts: readonly [NodeId, VerdictKind][]): Members {
  const members = new Members(SELF, 0)
  members.admit(new Set(admitted))
  for (const [node, kind] of verdicts) members.take({ node, kind, incarnation: 1 }, 1)
  return members
}

t.test('census() counts who is there, in doubt and dead, and this node', async t => {
  const members = told(
    [SELF, A, B, C, D],
    [
      [A, 'alive'],
      [B, 'suspect'],
      [C, 'dead'],
      [D, 'left'],
    ],
  )
  t.strictSame(members.census(), { dead: [C], present: 3, doubted: 1 })
  members.take({ node: C, kind: 'alive', incarnation: 2 }, 2)
  t.strictSame(members.census(), { dead: [], present: 4, doubted: 1 })
})

t.test(
  'who is not admitted does not count, whenever its verdict came, and is known when it is back',
  async t => {
    const members = told(
      [SELF, A, B],
      [
        [A, 'alive'],
        [B, 'dead'],
      ],
    )
    members.admit(new Set([SELF]))
    members.take({ node: C, kind: 'dead', incarnation: 1 }, 2)
    members.take({ node: D, kind: 'alive', incarnation: 1 }, 2)
    t.strictSame(members.census(), { dead: [], present: 1, doubted: 0 })
    members.admit(new Set([SELF, A, C]))
    t.strictSame(members.census(), { dead: [C], present: 2, doubted: 0 })
    t.equal(members.isAlive(A), true)
  },
)
