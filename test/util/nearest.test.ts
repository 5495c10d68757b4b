import t from 'tap'
import { nearest } from '../../src/util/nearest.ts'

t.test('nearest() finds what was meant', async t => {
  const names = ['instances', 'image', 'command', 'env']
  const cases: [string, string | undefined][] = [
    ['instancs', 'instances'],
    ['Instances', 'instances'],
    ['imag', 'image'],
    ['enf', 'env'],
    ['replicas', undefined],
    ['', undefined],
    ['x'.repeat(1e6), undefined],
  ]
  for (const [word, name] of cases) t.equal(nearest(word, names), name, word.slice(0, 20))
})
