import { appendFileSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { BoundedLog } from '../../src/runtime/bounded-log.ts'

const dir = mkdtempSync(join(tmpdir(), 'shoal-log-'))
t.teardown(() => rmSync(dir, { recursive: true, force: true }))
let made = 0
const newPath = (): string => join(dir, `log-${made++}`)

/** All that is kept from `position` on, and where it ends. */
async function readAll(log: BoundedLog, position: number): Promise<[string, number]> {
  let text = ''
  for (;;) {
    const { data, next } = await log.read(position)
    position = next
    if (data.length === 0) return [text, position]
    text += Buffer.from(data).toString()
  }
}

t.test('bounded log: keeps the end, within its limit', async t => {
  const path = newPath()
  const log = new BoundedLog(path, { maxBytes: 100 })
  for (let line = 0; line < 100; line++) {
    appendFileSync(path, `line ${String(line).padStart(3, '0')}\n`)
    await log.cut()
  }
  t.ok(statSync(path).size <= 110)
  t.ok(statSync(`${path}.1`).size <= 110)
  const [text] = await readAll(log, 0)
  t.match(text, /line 098\nline 099\n$/)
  const again = new BoundedLog(path, { maxBytes: 100 })
  t.equal((await readAll(again, await again.startOf()))[0], text, 'a new daemon reads the same')
})

t.test('bounded log: a log that is not there is empty', async t => {
  const log = new BoundedLog(newPath(), { maxBytes: 100 })
  await log.cut()
  t.strictSame(await readAll(log, await log.startOf()), ['', 0])
  t.equal(await log.startOf(3), 0)
})

t.test('bounded log: the last lines', async t => {
  for (const [text, lines, expected] of [
    ['a\nb\nc\n', 2, 'b\nc\n'],
    ['a\nb\nc', 2, 'b\nc'],
    ['a\nb\nc\n', 9, 'a\nb\nc\n'],
    ['a\nb\n', 0, ''],
    ['\n\n\n', 2, '\n\n'],
    ['', 5, ''],
  ] as const) {
    const path = newPath()
    appendFileSync(path, text)
    const log = new BoundedLog(path, { maxBytes: 1000 })
    const [found] = await readAll(log, await log.startOf(lines))
    t.equal(found, expected, JSON.stringify([text, lines]))
  }
})

t.test('bounded log: the last lines reach into the older part, and over many blocks', async t => {
  const path = newPath()
  const log = new BoundedLog(path, { maxBytes: 200_000 })
  const lines = Array.from({ length: 30_000 }, (_, index) => `line ${index}`)
  appendFileSync(path, `${lines.join('\n')}\n`)
  await log.cut()
  appendFileSync(path, 'after the cut\n')
  const [found] = await readAll(log, await log.startOf(12_001))
  t.equal(found, `${lines.slice(-12_000).join('\n')}\nafter the cut\n`)
})

t.test('bounded log: a reader sees each byte at most once, in order, whatever is cut', async t => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('write' as const), bytes: fc.integer({ min: 1, max: 300 }) }),
    fc.record({ kind: fc.constantFrom('cut' as const, 'read' as const) }),
  )
  const verdict = await fc.check(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async steps => {
      const path = newPath()
      const log = new BoundedLog(path, { maxBytes: 200 })
      let written = ''
      let seen = ''
      let position = await log.startOf()
      for (const now of [...steps, { kind: 'read' as const }]) {
        if (now.kind === 'cut') await log.cut()
        if (now.kind === 'write') {
          const from = written.length
          const text = Array.from({ length: now.bytes }, (_, at) =>
            String.fromCodePoint(32 + ((from + at) % 90)),
          ).join('')
          appendFileSync(path, text)
          written += text
        }
        if (now.kind === 'read') {
          const [text, next] = await readAll(log, position)
          // What is read is a piece of what was written, just before the position it leads to.
          if (written.slice(next - text.length, next) !== text) return false
          if (next - text.length < position) return false
          position = next
          seen += text
        }
      }
      return (
        position === written.length && written.endsWith(seen.slice(-Math.min(200, seen.length)))
      )
    }),
    { numRuns: 60 },
  )
  t.notOk(verdict.failed, fc.defaultReportMessage(verdict) ?? '')
})
