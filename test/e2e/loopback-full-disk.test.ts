import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { AppLine } from '../../src/api/shapes.ts'
import {
  DEADLINE_MS,
  helloApp,
  LoopbackCluster,
  pidsOf,
  until,
  type Daemon,
} from './loopback-cluster.ts'

/** Enough for an idle daemon, and quickly full. */
const DISK_MB = 12

/** Only root may mount a disk of its own for a test. */
const skip = process.getuid?.() === 0 ? false : 'needs root, to mount a small disk'

/** Puts a small disk under a daemon's folder. */
function mountSmallDisk(t: Test, dir: string): void {
  mkdirSync(dir, { recursive: true })
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MB}m`, 'tmpfs', dir])
  // Lazily: a task that is still ending has its folder there.
  t.teardown(() => void execFileSync('umount', ['-l', dir]))
}

/** Fills the disk to the last byte; the function that is returned makes room again. */
function fill(dir: string): () => void {
  const path = join(dir, 'ballast')
  const file = openSync(path, 'w')
  for (const size of [65_536, 4_096, 512, 1]) {
    const block = new Uint8Array(size)
    try {
      while (writeSync(file, block) === size);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
  }
  closeSync(file)
  return () => rmSync(path)
}

t.test(
  'a full disk refuses edits and keeps tasks running, and needs no restart',
  { skip },
  async t => {
    const cluster = LoopbackCluster.prepare(t, 2)
    const [small, other] = cluster.daemons as [Daemon, Daemon]
    mountSmallDisk(t, small.dir)
    await small.start()
    await other.start('--join', (await small.must('token', 'create')).trim())
    await cluster.whole()
    const files = [{ name: 'web', text: helloApp('/web', { instances: 2 }) }]
    await small.api.post('/v1/apply', { files })
    const before = await pidsOf(await small.serving('web', 2))

    const makeRoom = fill(small.dir)
    // Some bytes may still fit into what the database has already.
    const refused = await until('an edit is refused', DEADLINE_MS, async () => {
      const name = `app-${Math.random().toString(36).slice(2)}`
      const ran = await small.shoal('run', '--name', name, '--instances', '0', '--', 'true')
      return ran.status === 0 ? undefined : ran
    })
    t.equal(refused.status, 1)
    t.match(
      refused.stderr,
      /^shoal: the edit could not be stored on this node's disk and was not made: .*disk is full; free some space\n$/,
    )
    const apps = await small.api.get<AppLine[]>('/v1/apps')

    const elsewhere = await other.shoal('scale', 'web=1')
    t.equal(elsewhere.status, 0, 'the other node takes edits')
    t.match(elsewhere.stderr, /only on this node/, 'and says that they are on one disk alone')
    await other.must('run', '--name', 'late', '--instances', '0', '--', 'true')
    const [task, ...more] = await small.serving('web', 1)
    t.strictSame(more, [], 'which the full one follows, as far as it can')
    t.equal((await small.api.get<AppLine[]>('/v1/apps')).length, apps.length + 1)
    t.match(before, await pidsOf([task!]), 'the task that is left is the one that was there')
    t.ok(small.isRunning && other.isRunning)

    makeRoom()
    await until('edits work again', DEADLINE_MS, async () => {
      const { status } = await small.shoal('scale', 'web=2')
      return status === 0 ? true : undefined
    })
    await small.serving('web', 2)
    // Each of them changes something: what changes nothing is acknowledged without a disk.
    let edits = 0
    await until('its disk has what it missed', DEADLINE_MS, async () => {
      const { stderr } = await other.shoal('scale', `web=${3 - (edits++ % 2)}`)
      return stderr === '' ? true : undefined
    })
    await other.end('SIGKILL')
    await small.end('SIGKILL')
    await small.start()
    const kept = (await small.api.get<AppLine[]>('/v1/apps')).map(({ id }) => String(id))
    t.ok(kept.includes('/late'), 'also when it starts alone')
  },
)
