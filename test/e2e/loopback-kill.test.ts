import t from 'tap'
import type { AppLine, EventLine, TaskLine } from '../../src/api/shapes.ts'
import { createRandom } from '../../src/util/random.ts'
import {
  DEADLINE_MS,
  helloApp,
  LoopbackCluster,
  pidsOf,
  until,
  type Daemon,
} from './loopback-cluster.ts'

const ROUNDS = 8

/** Edits of one editor in one round: enough to go on while a daemon starts, few enough to let it. */
const ROUND_EDITS_MAX = 40

const SEED = Number(process.env['SEED'] ?? 7)

/** Edits through one daemon until told to stop, and what of them was acknowledged. */
class Editor {
  readonly #daemon: Daemon
  readonly #app: string
  /** Apps that were acknowledged as created. */
  readonly created: string[] = []
  /** The highest number that was acknowledged. */
  scaledTo = 0
  /** The highest number that was asked for: it may stand, too. */
  askedFor = 0
  acknowledged = 0
  #isStopped = false
  #mayDie = false

  constructor(daemon: Daemon) {
    this.#daemon = daemon
    this.#app = `/by-${daemon.name}`
  }

  get app(): string {
    return this.#app
  }

  /** Creates the app whose number it then changes; nothing of it ever runs. */
  async prepare(): Promise<void> {
    await this.#apply(this.#app)
  }

  /** Edits until `stop`, or until the daemon is gone. */
  async run(): Promise<void> {
    this.#reset()
    const last = this.askedFor + ROUND_EDITS_MAX
    try {
      while (!this.#isStopped && this.askedFor < last) {
        const next = ++this.askedFor
        await this.#daemon.api.post('/v1/scale', { app: this.#app, instances: next })
        this.scaledTo = next
        this.acknowledged++
        if (next % 4 !== 0) continue
        const app = `${this.#app}-${next}`
        await this.#apply(app)
        this.created.push(app)
      }
    } catch (error) {
      // Killed in the middle of an edit: it was not acknowledged.
      if (!this.#mayDie) throw error
    }
  }

  stop(): void {
    this.#isStopped = true
  }

  /** From now on the daemon may end in the middle of an edit. */
  expectDeath(): void {
    this.#mayDie = true
  }

  #reset(): void {
    this.#isStopped = this.#mayDie = false
  }

  async #apply(id: string): Promise<void> {
    // No node can run it: the test is about the document.
    const constraints = [{ field: 'planet', operator: 'IS', value: 'mars' }]
    const text = JSON.stringify({ id, command: 'true', instances: 0, constraints })
    await this.#daemon.api.post('/v1/apply', { files: [{ name: 'edit', text }] })
  }
}

t.test(
  `kill -9 at any moment loses no acknowledged edit and stops no task, seed ${SEED}`,
  async t => {
    const random = createRandom(SEED)
    const cluster = await LoopbackCluster.start(t, 3)
    const { daemons } = cluster
    // One on each node, which no other node takes over however long a restart takes.
    await apply(daemons[0]!, helloApp('/each', { mode: 'global', instances: undefined }))
    await apply(daemons[0]!, helloApp('/web'))
    const before = await pidsOf(await daemons[0]!.serving('each', 3))
    const editors = daemons.map(daemon => new Editor(daemon))
    for (const editor of editors) await editor.prepare()

    for (let round = 0; round < ROUNDS; round++) {
      const index = round % daemons.length
      const [victim, editor] = [daemons[index]!, editors[index]!]
      const enough = editor.acknowledged + Math.floor(random() * 12)
      const running = Promise.all(editors.map(async one => await one.run()))
      // At any moment: in the middle of whatever edit comes after so many.
      await until(`${victim.name} acknowledges edits`, DEADLINE_MS, () =>
        editor.acknowledged >= enough ? true : undefined,
      )
      editor.expectDeath()
      await victim.end('SIGKILL')
      await victim.start()
      for (const one of editors) one.stop()
      await running
    }

    await cluster.whole()
    for (const { app, created, scaledTo, askedFor, acknowledged } of editors) {
      t.ok(acknowledged > ROUNDS, `${app} was edited ${acknowledged} times`)
      for (const daemon of daemons) {
        const apps = await until(
          `${daemon.name} has all edits of ${app}`,
          DEADLINE_MS,
          async () => {
            const lines = await daemon.api.get<AppLine[]>('/v1/apps')
            const ids = new Set<string>(lines.map(({ id }) => id))
            return created.every(id => ids.has(id)) ? lines : undefined
          },
        )
        const wanted = apps.find(({ id }) => id === app)?.wanted ?? -1
        t.ok(
          wanted >= scaledTo && wanted <= askedFor,
          `${daemon.name}: ${app} ${scaledTo} ${wanted}`,
        )
      }
    }
    await until('the documents are equal', DEADLINE_MS, async () => {
      const [first, ...others] = await Promise.all(
        daemons.map(async daemon => JSON.stringify((await documentOf(daemon)).toSorted())),
      )
      return others.every(other => other === first) || undefined
    })

    for (const daemon of daemons) {
      t.strictSame(
        await pidsOf(await daemon.serving('each', 3)),
        before,
        'the same processes serve',
      )
      t.equal(Object.keys(await pidsOf(await daemon.serving('web', 3))).length, 3)
    }
  },
)

t.test(
  'a daemon that is stopped or killed and started again moves and touches nothing',
  async t => {
    const cluster = await LoopbackCluster.start(t, 3)
    const [first, second] = cluster.daemons as [Daemon, Daemon, Daemon]
    await apply(first, helloApp('/web', { instances: 6 }))
    const tasks = await first.serving('web', 6)
    const before = await pidsOf(tasks)
    const ids = idsOf(tasks)
    const seen = (await eventsOf(first)).length

    await second.end('SIGTERM')
    t.strictSame(await pidsOf(tasks), before, 'stopped: the tasks run on without their daemon')
    t.equal(await second.exited(), 0, 'SIGTERM is no failure')
    await second.start()
    await cluster.whole()
    for (const daemon of cluster.daemons) {
      const now = await daemon.serving('web', 6)
      t.strictSame(idsOf(now), ids, 'stopped: the same tasks')
      t.strictSame(await pidsOf(now), before, 'stopped: the same processes')
    }
    const news = (await eventsOf(first)).slice(seen).filter(({ kind }) => kind === 'task')
    t.strictSame(
      news.filter(({ text }) => text.includes('preparing')),
      [],
      'stopped: nothing was started elsewhere',
    )

    await second.end('SIGKILL')
    t.strictSame(await pidsOf(tasks), before, 'killed: the tasks run on without their daemon')
    await second.start()
    await cluster.whole()
    const own = tasks.filter(({ node }) => node === second.name)
    const adopted = (await second.serving('web', 6)).filter(({ node }) => node === second.name)
    // On a machine so busy that the restart took seconds others may have moved for the while.
    for (const { slot, task } of own) t.equal(adopted.find(one => one.slot === slot)?.task, task)
    const pids = await pidsOf(own)
    for (const { slot } of own) t.equal(pids[slot], before[slot], 'killed: the same processes')
  },
)

async function apply(daemon: Daemon, text: string): Promise<void> {
  await daemon.api.post('/v1/apply', { files: [{ name: 'app.json', text }] })
}

function idsOf(tasks: readonly TaskLine[]): string[] {
  return tasks.map(({ task = '' }): string => task).toSorted()
}

async function documentOf(daemon: Daemon): Promise<string[]> {
  const manifests = await daemon.api.get<string[]>('/v1/export')
  const apps = await daemon.api.get<AppLine[]>('/v1/apps')
  return [...manifests, ...apps.map(({ id, revision }) => `${id} ${revision}`)]
}

async function eventsOf(daemon: Daemon): Promise<EventLine[]> {
  return await daemon.api.get<EventLine[]>('/v1/events')
}
