import t from 'tap'
import { renderFaults, type Faults } from '../../scripts/testbed/faults.ts'

const cases: ReadonlyArray<{ name: string; faults: Faults; want: readonly string[] }> = [
  { name: 'nothing', faults: {}, want: [] },
  {
    name: 'groups, both ways',
    faults: { partition: [[1, 2], [3]] },
    want: ['"v1" "v3"', '"v2" "v3"', '"v3" "v1"', '"v3" "v2"'],
  },
  {
    name: 'hosts in no group, each alone',
    faults: { partition: [[1]] },
    want: ['"v1" "v2"', '"v1" "v3"', '"v2" "v1"', '"v2" "v3"', '"v3" "v1"', '"v3" "v2"'],
  },
  {
    name: 'one way, but for address resolution',
    faults: { oneWay: [[2, 1]] },
    want: ['"v2" "v1" ether type != arp'],
  },
  {
    name: 'loss in and out, with a decimal',
    faults: { loss: { 2: 2.5 } },
    want: ['"v2" numgen random mod 1000 < 25', '"v2" numgen random mod 1000 < 25'],
  },
  { name: 'loss of everything', faults: { loss: { 2: 100 } }, want: ['"v2"', '"v2"'] },
]

for (const { name, faults, want } of cases) {
  t.test(`renderFaults() cuts ${name}`, async t => {
    const rules = renderFaults(faults, 3)
      .split('\n')
      .filter(line => line.endsWith(' drop'))
      .map(line =>
        line
          .trim()
          .replaceAll(/[io]ifname /g, '')
          .replace(/ drop$/, ''),
      )
    t.strictSame(rules, want)
  })
}
