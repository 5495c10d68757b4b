import fc from 'fast-check'
import t from 'tap'
import { matchesPattern } from '../../src/placement/pattern.ts'

const PATTERNS = [
  'ssd',
  's.d',
  's[sd]d',
  'a*',
  '(ab)*',
  'a+b?',
  'a|b',
  '(?:a|bc)+',
  '(?<x>a)b',
  'a{2}',
  'a{2,}',
  'a{1,3}b',
  '^ab$',
  '^|a',
  '[^a]+',
  '[a\\]b]+',
  '\\d+',
  'a\\.b',
  'a\\-b',
  '[a-]b]',
  '(a|b)*abb',
  '(a*)*',
  '()',
  '',
  'a??b',
  '.*b.*',
  '(a|ab)(c|bcd)',
  'x*?a{0}',
  'é+',
  '😀.',
]

t.test('matchesPattern() agrees with RegExp on whole texts', async () => {
  const text = fc.string({
    unit: fc.constantFrom('a', 'b', 'c', 'd', 's', '.', ']', '1', 'é', '😀'),
    maxLength: 8,
  })
  fc.assert(
    fc.property(fc.constantFrom(...PATTERNS), text, (pattern, value) => {
      return matchesPattern(pattern, value) === new RegExp(`^(?:${pattern})$`).test(value)
    }),
    { numRuns: 3000 },
  )
})

t.test('matchesPattern() agrees with RegExp on patterns made up', async () => {
  const { pattern } = fc.letrec<{ pattern: string }>(tie => ({
    pattern: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom('a', 'b', '.', '[ab]', '\\w'),
      fc.tuple(tie('pattern'), tie('pattern')).map(parts => parts.join('')),
      fc.tuple(tie('pattern'), tie('pattern')).map(parts => `(${parts.join('|')})`),
      fc
        .tuple(tie('pattern'), fc.constantFrom('*', '+', '?', '{0,2}', '{2}'))
        .map(([part, times]) => `(?:${part})${times}`),
    ),
  }))
  fc.assert(
    fc.property(
      pattern,
      fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 6 }),
      (source, value) => {
        return matchesPattern(source, value) === new RegExp(`^(?:${source})$`).test(value)
      },
    ),
    { numRuns: 2000 },
  )
})

t.test('matchesPattern() takes no longer for patterns that backtrack', async t => {
  t.equal(matchesPattern('(a+)+b', 'a'.repeat(4000)), false)
  t.equal(matchesPattern('(a|a)*b', `${'a'.repeat(4000)}b`), true)
})

for (const pattern of ['a(?=b)', '(a)\\1', '(?<!a)b', '\\bword', '(', '((x{99}){99}){99}']) {
  t.test(`matchesPattern() does not read ${pattern}`, async t => {
    t.equal(matchesPattern(pattern, 'a'), undefined)
  })
}
