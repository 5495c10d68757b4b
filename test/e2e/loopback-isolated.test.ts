/**
 * An app that must never run twice, when the daemon that runs it dies or its machine stands
 * still. Each task writes its token and the time into one file every 50 ms: the file is the proof.
 */

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { EventLine, TaskLine } from '../../src/api/shapes.ts'
import { findHolder } from '../../src/runtime/watchdog-lock.ts'
import { LoopbackCluster, tasksUnder, until, type Daemon } from './loopback-cluster.ts'

/** A claim of 10 s, a grace of 1 s, 2 s for the engine, and a busy machine. */
const REPLACED_MS = 60_000

/** Within this, on a busy machine, a machine that stood still ends what it may not run. Alone, it is a few milliseconds. */
const THAW_MS = 1_500

/** A task that pays no heed to being asked to end: it has to be killed. */
const DATABASE = `trap '' TERM
while :; do
  read -r up rest < /proc/uptime
  echo "$SHOAL_NODE $SHOAL_FENCING_TOKEN $up" >> "$FILE"
  sleep 0.05
done`

/** One line of the file. */
interface Stamp {
  readonly node: string
  readonly token: number
  readonly atMs: number
}

/** Starts three daemons and the app; who runs it, and one of the others. */
async function startDatabase(
  t: Test,
  lostAfter = '0s',
): Promise<{
  readonly owner: Daemon
  readonly other: Daemon
  readonly read: () => Stamp[]
  readonly task: TaskLine
}> {
  const cluster = await LoopbackCluster.start(t, 3)
  const file = join(cluster.root, 'stamps')
  const app = {
    id: '/db',
    command: DATABASE,
    env: { FILE: file },
    resources: { cpus: 0.05, memMb: 16 },
    onPartition: { isolated: 'stop', lostAfter },
    stopGrace: '1s',
  }
  const [first] = cluster.daemons
  await first!.api.post('/v1/apply', { files: [{ name: 'db.json', text: JSON.stringify(app) }] })
  const [task] = await first!.serving('db', 1)
  const owner = cluster.daemons.find(({ name }) => name === task!.node)!
  const other = cluster.daemons.find(({ name }) => name !== task!.node)!
  const read = (): Stamp[] => (existsSync(file) ? parse(readFileSync(file, 'utf8')) : [])
  await until('the task writes', REPLACED_MS, () => (read().length > 3 ? true : undefined))
  return { owner, other, read, task: task! }
}

/** The last line may be on its way. */
function parse(text: string): Stamp[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map(line => line.split(' '))
    .map(([node = '', token, up]) => ({ node, token: Number(token), atMs: Number(up) * 1_000 }))
}

function uptimeMs(): number {
  return Number.parseFloat(readFileSync('/proc/uptime', 'utf8')) * 1_000
}

/** The times at which each token was written, first and last, by token. */
function spans(
  stamps: readonly Stamp[],
): { token: number; node: string; from: number; to: number }[] {
  const tokens = [...new Set(stamps.map(({ token }) => token))].toSorted((a, b) => a - b)
  return tokens.map(token => {
    const own = stamps.filter(stamp => stamp.token === token)
    const times = own.map(({ atMs }) => atMs)
    return { token, node: own[0]!.node, from: Math.min(...times), to: Math.max(...times) }
  })
}

t.setTimeout(360_000)

t.test('isolated: a daemon is killed, its watchdog ends the task, then another begins', async t => {
  const { owner, other, read, task } = await startDatabase(t)
  const killedMs = uptimeMs()
  await owner.end('SIGKILL')
  await until('another node runs it', REPLACED_MS, () =>
    read().some(({ node }) => node !== owner.name) ? true : undefined,
  )
  await until('it runs for a while', REPLACED_MS, () => {
    const [, second] = spans(read())
    return second !== undefined && second.to - second.from > 1_000 ? true : undefined
  })
  const [before, after, ...more] = spans(read())
  t.strictSame(more, [], 'there were two tasks in all')
  t.ok(after!.token > before!.token, `token ${before!.token}, then ${after!.token}`)
  t.ok(before!.to > killedMs + 2_000, 'the old task ran on when its daemon was dead')
  t.ok(before!.to < after!.from, 'and was gone when the new one began')
  t.comment(
    `ran on for ${(before!.to - killedMs).toFixed(0)} ms, gap ${(after!.from - before!.to).toFixed(0)} ms`,
  )
  t.equal(after!.node, (await other.serving('db', 1))[0]!.node)

  await owner.start()
  const told = await until('the daemon that is back tells of it', REPLACED_MS, async () => {
    const events = await owner.api.get<EventLine[]>('/v1/events')
    return events.find(({ text }) => text.includes('ran out while this daemon was away'))
  })
  t.equal(told.subject, task.task!)
})

t.test('isolated: a daemon that is back in time goes on with its task', async t => {
  // With it, even the busiest machine brings a daemon back in time.
  const { owner, read } = await startDatabase(t, '10s')
  const killedMs = uptimeMs()
  await owner.end('SIGKILL')
  await owner.start()
  // The claim of before the restart was over 20 s after it at the latest.
  await until('the task runs on', REPLACED_MS, () =>
    read().at(-1)!.atMs > killedMs + 23_000 ? true : undefined,
  )
  const all = spans(read())
  t.equal(all.length, 1, `one task all along: ${JSON.stringify(all)}`)
})

t.test('isolated: a machine that stood still ends its task when it goes on', async t => {
  const { owner, read } = await startDatabase(t)
  const watchdog = findHolder(join(owner.dir, 'watchdog'))!
  const frozen = [...tasksUnder(owner.dir), watchdog.pid, owner.pid]
  for (const pid of frozen) process.kill(pid, 'SIGSTOP')
  await until('another node runs it', REPLACED_MS, () => {
    const [, second] = spans(read())
    return second !== undefined && second.to - second.from > 1_000 ? true : undefined
  })
  const thawedMs = uptimeMs()
  for (const pid of frozen) process.kill(pid, 'SIGCONT')
  await until('the old task is gone', REPLACED_MS, () =>
    tasksUnder(owner.dir).some(pid => frozen.includes(pid)) ? undefined : true,
  )
  const goneMs = uptimeMs()
  const [before, after] = spans(read())
  t.ok(after!.token > before!.token, `token ${before!.token}, then ${after!.token}`)
  const besideMs = Math.max(0, before!.to - thawedMs)
  t.comment(
    `ran beside the new one for ${besideMs.toFixed(0)} ms, gone after ${(goneMs - thawedMs).toFixed(0)} ms`,
  )
  t.ok(besideMs < THAW_MS, `${besideMs} ms beside the new one`)
})
