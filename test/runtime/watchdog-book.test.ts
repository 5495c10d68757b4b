/** Which process a container is, and whom to ask to end it, with an engine that is played by a small HTTP server. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ContainerBook } from '../../src/runtime/watchdog-book.ts'
import { WatchdogEngine } from '../../src/runtime/watchdog-engine.ts'

const TASK = '/web.0@x'

/** A container as the engine tells of it. */
interface Played {
  state: string
  labels: Record<string, string>
  pid: number
}

/** An engine with one container; what it is asked to change stands in `asked`. */
async function playEngine(
  t: Test,
  container: Played,
): Promise<{
  asked: string[]
  engine: WatchdogEngine
  dir: string
  fail: (status: number) => void
}> {
  const dir = mkdtempSync(join(tmpdir(), 'shoal-book-'))
  const asked: string[] = []
  let failure: number | undefined
  const server = createServer(({ method, url = '' }, response) => {
    const { pathname, search } = new URL(url, 'http://engine')
    if (method !== 'GET') asked.push(`${method} ${pathname}${search}`)
    response.statusCode = failure ?? 200
    const { state: State, labels: Labels, pid: Pid } = container
    if (pathname === '/containers/json')
      response.end(JSON.stringify([{ Id: 'abc', State, Labels }]))
    else response.end(JSON.stringify({ State: { Pid }, Config: { StopSignal: 'SIGQUIT' } }))
  })
  const socketPath = join(dir, 'docker.sock')
  await once(server.listen(socketPath), 'listening')
  t.teardown(() => {
    server.close()
    rmSync(dir, { recursive: true })
  })
  const engine = new WatchdogEngine(socketPath, 2_000)
  return { asked, engine, dir, fail: status => void (failure = status) }
}

const OURS = { 'shoal.cluster': 'c', 'shoal.task': TASK }

t.test('book: what the kernel does not count to the container is ended by the engine', async t => {
  // A process that lives, and is not the container's.
  const bystander = spawn('sleep', ['1000'], { stdio: 'ignore' })
  t.teardown(() => bystander.kill('SIGKILL'))
  await once(bystander, 'spawn')
  const pid = bystander.pid!
  const { engine, asked, dir } = await playEngine(t, {
    state: 'running',
    labels: OURS,
    pid,
  })
  const book = new ContainerBook(join(dir, 'containers'), engine)
  await book.learn(new Set([TASK]), 'c')
  t.notOk(book.knows(TASK))
  t.ok(await book.isRunning(TASK, 'c'))
  await book.ask(TASK)
  await book.kill(TASK)
  t.strictSame(asked, ['POST /containers/abc/kill?signal=3', 'POST /containers/abc/kill?signal=9'])
})

t.test('book: a container of another cluster is never ours, whatever the engine lists', async t => {
  const labels = { 'shoal.cluster': 'other', 'shoal.task': TASK }
  const { engine, asked, dir } = await playEngine(t, { state: 'created', labels, pid: 1 })
  const book = new ContainerBook(join(dir, 'containers'), engine)
  t.notOk(await book.isRunning(TASK, 'c'))
  await book.ask(TASK)
  await book.kill(TASK)
  t.strictSame(asked, [])
})

t.test('book: an engine that fails leaves it open whether a task runs', async t => {
  const { engine, dir, fail } = await playEngine(t, { state: 'exited', labels: OURS, pid: 0 })
  const book = new ContainerBook(join(dir, 'containers'), engine)
  fail(500)
  await t.rejects(book.isRunning(TASK, 'c'), /the Docker engine answered 500/)
  fail(200)
  t.notOk(await book.isRunning(TASK, 'c'))
})

t.test('book: a file of another boot, or of nonsense, says nothing', async t => {
  const { engine, dir } = await playEngine(t, { state: 'exited', labels: OURS, pid: 0 })
  const path = join(dir, 'containers')
  for (const text of [`another boot\n${TASK} abc ${process.pid} 1 15\n`, 'x', '']) {
    writeFileSync(path, text)
    t.notOk(new ContainerBook(path, engine).knows(TASK))
  }
})
