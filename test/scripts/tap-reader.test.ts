import t from 'tap'
import { KEPT_LINES, TapReader, type TapReport } from '../../scripts/test/tap-reader.ts'

function read(text: string): TapReport {
  const reader = new TapReader()
  for (const line of text.split('\n')) reader.readLine(line)
  return reader.end()
}

const cases: ReadonlyArray<{ name: string; tap: string; want: readonly string[] }> = [
  {
    name: 'an assertion outside of any test counts',
    tap: 'ok 1 - bare\nnot ok 2 - wrong\n1..2',
    want: ['passed bare', 'failed wrong'],
  },
  {
    name: 'assertions inside a test do not count',
    tap: '# Subtest: a\n    ok 1 - x\n    ok 2 - y\n    1..2\nok 1 - a # time=2.1ms\n1..1',
    want: ['passed a'],
  },
  {
    name: 'the innermost tests count, with the names around them',
    tap: [
      '        ok 1 - x',
      '        1..1',
      '    ok 1 - inner # time=1ms',
      '        ok 1 - x',
      '        1..1',
      '    ok 2 - other # time=1ms',
      '    1..2',
      'ok 1 - outer # time=3ms',
      '1..1',
    ].join('\n'),
    want: ['passed outer › inner', 'passed outer › other'],
  },
  {
    name: 'a test with several failed assertions is one failed test',
    tap: '    not ok 1 - x\n      ---\n      why: y\n      ...\n    not ok 2 - z\n    1..2\nnot ok 1 - a\n1..1',
    want: ['failed a: x|  why: y|z'],
  },
  {
    name: 'a failed inner test does not fail the outer one once more',
    tap: '        not ok 1 - x\n        1..1\n    not ok 1 - inner\n    1..1\nnot ok 1 - outer\n1..1',
    want: ['failed outer › inner: x'],
  },
  {
    name: 'a test that fails with no failed assertion (a broken plan) says why',
    tap: '    ok 1 - x\n    1..2\nnot ok 1 - a\n  ---\n  why: plan\n  ...\n1..1',
    want: ['failed a: why: plan'],
  },
  {
    // TODO is a directive of TAP like SKIP: a test that is marked so has not passed.
    name: 'skips keep their reason, wherever it was written',
    tap: '    1..0 # no root\nok 1 - a # SKIP no root\nok 2 - b # SKIP\nok 3 - c # TODO later\n1..3',
    want: ['skipped a: no root', 'skipped b: skip', 'skipped c: later'],
  },
  {
    name: 'a test that did nothing but skip is not passed as well',
    tap: '    ok 1 - needs docker # SKIP\n    1..1\nok 1 - a # time=1ms\n1..1',
    want: ['skipped a › needs docker: skip'],
  },
  {
    name: 'a test that skipped a part counts for both',
    tap: '    ok 1 - x\n    ok 2 - needs docker # SKIP\n    1..2\nok 1 - a\n1..1',
    want: ['skipped a › needs docker: skip', 'passed a'],
  },
  {
    name: 'a whole file may be skipped',
    tap: '1..0 # no nft',
    want: ['skipped the whole file: no nft'],
  },
  {
    name: 'a hash in a name is no directive',
    tap: 'ok 1 - fix \\# SKIP\n1..1',
    want: ['passed fix # SKIP'],
  },
  { name: 'bailing out fails', tap: 'Bail out! # dead', want: ['failed Bail out! # dead'] },
  {
    name: 'points inside a diagnostic are text',
    tap: 'not ok 1 - a\n  ---\n  diff: |\n    not ok 9 - no\n  ...\nok 2 - b\n1..2',
    want: ['failed a: diff: ||  not ok 9 - no', 'passed b'],
  },
]

for (const { name: title, tap, want } of cases) {
  t.test(`TapReader: ${title}`, async t => {
    const got = read(tap).outcomes.map(({ kind, name, detail }) =>
      detail.length > 0 ? `${kind} ${name}: ${detail.join('|')}` : `${kind} ${name}`,
    )
    t.strictSame(got, want)
  })
}

t.test('TapReader: a process that died half way left no plan', async t => {
  t.equal(read('ok 1 - a').complete, false)
  t.equal(read('    1..1\nok 1 - a').complete, false, 'the plan of an inner test is not the plan')
  t.equal(read('ok 1 - a\n1..1').complete, true)
})

t.test('TapReader: keeps the last of what the code printed, and no more', async t => {
  const report = read(Array.from({ length: KEPT_LINES * 2 }, (_, i) => `line ${i}`).join('\n'))
  t.equal(report.stray.length, KEPT_LINES)
  t.equal(report.stray.at(-1), `line ${KEPT_LINES * 2 - 1}`)
})
