/** The file that the daemon and its watchdog share, and the clock in it. */

import { execFile } from 'node:child_process'
import {
  appendFileSync,
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual, promisify } from 'node:util'
import * as fc from 'fast-check'
import t, { type Test } from 'tap'
import type { SlotId, TaskId } from '../../src/model/ids.ts'
import { createSteadyClock, elapsedMs, readMoment, type Moment } from '../../src/runtime/moment.ts'
import { parseSignal } from '../../src/runtime/watchdog-engine.ts'
import type { FiledOrder, Sheet } from '../../src/runtime/watchdog-orders.ts'
import { readSheet, SheetWriter } from '../../src/runtime/watchdog-sheet.ts'

function tempDir(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'shoal-sheet-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

function orderNo(index: number, stopInMs = 1_000): FiledOrder {
  return {
    task: `/a.${index}@x` as TaskId,
    slot: `/a.${index}` as SlotId,
    runtime: index % 2 === 0 ? 'process' : 'docker',
    token: index,
    untilInMs: 0,
    stopInMs,
    graceMs: 10,
    dir: '/tasks/a',
  }
}

function sheetOf(orders: readonly FiledOrder[]): Sheet {
  return {
    cluster: 'c',
    bootId: 'b',
    daemon: { pid: 7, startTicks: '77' },
    dockerSocket: '/docker.sock',
    at: { monotonicMs: 5.125, uptimeMs: 10 },
    orders,
  }
}

function at(monotonicMs: number, uptimeMs?: number): Moment {
  return uptimeMs === undefined ? { monotonicMs } : { monotonicMs, uptimeMs }
}

t.test('sheet: what was written last is read, from whichever of the two files', async t => {
  const dir = tempDir(t)
  t.strictSame(readSheet(dir), { kind: 'none' })
  let writer = new SheetWriter(dir)
  t.strictSame(readSheet(dir), { kind: 'none' }, 'files without a sheet are none')
  for (const count of [0, 1, 300, 2, 0, 5]) {
    const sheet = sheetOf(Array.from({ length: count }, (_, index) => orderNo(index)))
    writer.write(sheet)
    t.match(readSheet(dir), { kind: 'sheet', sheet: { orders: { length: count } } })
    t.strictSame({ ...readSheet(dir), seq: 0 }, { kind: 'sheet', seq: 0, sheet })
    // As a daemon that starts anew.
    writer.close()
    writer = new SheetWriter(dir)
  }
  writer.close()
  t.equal(statSync(join(dir, 'orders.0')).mode & 0o777, 0o600)
})

t.test('sheet: a writer that died in the middle leaves the last sheet', async t => {
  const dir = tempDir(t)
  const writer = new SheetWriter(dir)
  for (const token of [1, 2, 3, 4]) writer.write(sheetOf([orderNo(token)]))
  writer.close()
  const newest = join(dir, 'orders.0')
  const whole = readFileSync(newest)
  const length = whole.indexOf(0)
  for (let cut = 1; cut < length; cut++) {
    // Its beginning is new, the rest is what stood there before.
    const torn = Buffer.concat([whole.subarray(0, cut), Buffer.alloc(whole.length - cut, '#')])
    writeFileSync(newest, torn)
    t.match(readSheet(dir), { kind: 'sheet', seq: 3, sheet: { orders: [{ token: 3 }] } })
  }
})

t.test('sheet: no damage is taken for orders', async t => {
  const dir = tempDir(t)
  const writer = new SheetWriter(dir)
  for (const token of [1, 2]) writer.write(sheetOf([orderNo(token)]))
  writer.close()
  const paths = ['orders.0', 'orders.1'].map(name => join(dir, name))
  const wholes = paths.map(path => readFileSync(path))
  const files = paths.map(path => openSync(path, 'r+'))
  t.teardown(() => files.forEach(file => closeSync(file)))
  const seen = new Set<string>()
  // The first line above all, and in it digits for digits: what still reads well.
  const offset = fc.oneof(fc.nat(40), fc.nat(400))
  const byte = fc.oneof(fc.integer({ min: 48, max: 57 }), fc.nat(255))
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(1), offset, byte), { minLength: 1, maxLength: 6 }),
      changes => {
        const damaged = wholes.map(whole => Buffer.from(whole))
        for (const [half, index, value] of changes) damaged[half]![index] = value
        for (const [half, file] of files.entries()) writeSync(file, damaged[half]!, 0, 500, 0)
        const found = readSheet(dir)
        seen.add(found.kind)
        if (found.kind !== 'sheet') return true
        return isDeepStrictEqual(found.sheet, sheetOf([orderNo(found.seq)]))
      },
    ),
    { numRuns: 20_000 },
  )
  t.strictSame(
    [...seen].toSorted(),
    ['bad', 'none', 'sheet'].filter(kind => seen.has(kind)),
  )
  t.ok(seen.has('bad') && seen.has('sheet'))
  for (const path of paths) writeFileSync(path, '')
  appendFileSync(paths[0]!, 'shoal-watchdog 1 1 2 0\n{}')
  t.match(readSheet(dir), { kind: 'bad', reason: /damaged, or was not written to its end$/ })
})

t.test('sheet: a full disk refuses no renewal', async t => {
  if (process.getuid?.() !== 0) {
    t.pass('needs root', { skip: 'only root can mount a disk' })
    return
  }
  const dir = tempDir(t)
  const source = fileURLToPath(new URL('../../src/runtime/watchdog-sheet.ts', import.meta.url))
  const script = `
    import { SheetWriter, readSheet } from ${JSON.stringify(source)}
    import { appendFileSync } from 'node:fs'
    const order = ${JSON.stringify(orderNo(1))}
    const sheet = count => ({ ...${JSON.stringify(sheetOf([]))}, orders: Array(count).fill(order) })
    const told = []
    const attempt = work => { try { work(); told.push('ok') } catch (error) { told.push(error.code) } }
    const writer = new SheetWriter('.')
    writer.write(sheet(3))
    attempt(() => { for (;;) appendFileSync('ballast', 'x'.repeat(4096)) })
    for (let renewal = 0; renewal < 5; renewal++) attempt(() => writer.write(sheet(3)))
    attempt(() => writer.write(sheet(300)))
    attempt(() => writer.write(sheet(1)))
    const { seq, sheet: { orders } } = readSheet('.')
    console.log(JSON.stringify({ told, seq, orders: orders.length }))`
  const mount = 'mount -t tmpfs -o size=64k none "$1" && cd "$1" && shift && exec "$@"'
  const node = [process.execPath, '--input-type=module', '-e', script]
  const { stdout } = await promisify(execFile)('unshare', [
    '-m',
    'sh',
    '-c',
    mount,
    'sh',
    dir,
    ...node,
  ])
  t.strictSame(JSON.parse(stdout), {
    told: ['ENOSPC', 'ok', 'ok', 'ok', 'ok', 'ok', 'ENOSPC', 'ok'],
    seq: 7,
    orders: 1,
  })
})

t.test('moment: time goes on while the machine sleeps', async t => {
  for (const [from, to, expected] of [
    [at(1_000, 1_000), at(1_500.5, 1_500), 500.5],
    // It slept before, but not since.
    [at(1_000, 61_000), at(1_500.5, 61_500), 500.5],
    [at(1_000, 1_000), at(1_500, 3_601_500), 3_600_500],
    // The two clocks tick apart by less than a tenth of a second.
    [at(1_000, 1_000), at(1_500, 1_590), 500],
    // A machine without the second clock, or one in a container of which the clock began later.
    [at(1_000), at(1_500, 90_000), 500],
    [at(1_000, 90_000), at(1_500), 500],
    [at(50_000, 100), at(50_500, 600), 500],
  ] as const) {
    t.equal(elapsedMs(from, to), expected, `${JSON.stringify(from)} to ${JSON.stringify(to)}`)
  }
  const now = readMoment()
  t.ok(Math.abs(now.monotonicMs - Number(process.hrtime.bigint()) / 1e6) < 1_000)
  t.ok((now.uptimeMs ?? 0) > 0, 'this machine tells its uptime')
})

t.test('moment: a steady clock counts sleep and never goes back', async t => {
  const moments: Moment[] = [
    { monotonicMs: 100, uptimeMs: 100 },
    { monotonicMs: 150, uptimeMs: 150 },
    { monotonicMs: 160, uptimeMs: 265 },
    // The same sleep, by a reading that is a tick apart.
    { monotonicMs: 170, uptimeMs: 265 },
    { monotonicMs: 200, uptimeMs: 310 },
  ]
  const clock = createSteadyClock(1_000, () => moments.shift()!)
  t.strictSame([clock(), clock(), clock(), clock()], [1_050, 1_165, 1_165, 1_210])
})

t.test('parseSignal() reads the names that images use', async t => {
  for (const [text, expected] of [
    ['', 15],
    ['SIGTERM', 15],
    ['quit', 3],
    ['SIGQUIT', 3],
    ['9', 9],
    ['SIGRTMIN+3', 37],
    ['RTMIN', 34],
    ['nonsense', 15],
  ] as const) {
    t.equal(parseSignal(text), expected, text)
  }
})
