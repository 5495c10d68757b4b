/** The way to an engine that misbehaves, with an engine that is played by a small HTTP server. */

import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startDockerRuntime } from '../../src/runtime/docker-runtime.ts'
import { LABELS } from '../../src/runtime/labels.ts'
import type { Launch, Runtime } from '../../src/runtime/runtime.ts'
import { Events, makeLaunch, unhurried } from './launches.ts'

/** What an engine tells of the container `abc`. */
function about(action: string, task: string): object {
  const attributes = { 'shoal.task': task, exitCode: '137' }
  return { Action: action, Actor: { ID: 'abc', Attributes: attributes } }
}

/** An engine that streams events, and answers nothing else unless `answer` does. */
async function playEngine(
  t: Test,
  answer: (path: string, response: ServerResponse) => void = () => undefined,
): Promise<{ socketPath: string; tell: (event: unknown) => void; hangUp: () => void }> {
  const dir = mkdtempSync(join(tmpdir(), 'shoal-link-'))
  const streams = new Set<ServerResponse>()
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://engine')
    if (pathname !== '/events') return answer(pathname, response)
    streams.add(response)
    response.writeHead(200).flushHeaders()
  })
  const socketPath = join(dir, 'docker.sock')
  server.listen(socketPath)
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
    rmSync(dir, { recursive: true, force: true })
  })
  return {
    socketPath,
    tell: event => streams.forEach(stream => stream.write(`${JSON.stringify(event)}\n`)),
    hangUp: () => server.closeAllConnections(),
  }
}

t.test('docker link: an engine that hangs is unreachable, and no call waits for ever', async t => {
  let hangs = false
  const { socketPath } = await playEngine(t, (_, response) => {
    if (!hangs) response.end('[]')
  })
  const runtime = await startDockerRuntime({ socketPath, cluster: 'c', node: 'n', answerMs: 1_000 })
  t.teardown(() => runtime.close())
  const events = new Events(runtime)
  t.strictSame(await runtime.list(), [])
  hangs = true
  await t.rejects(runtime.list(), {
    code: 'unreachable',
    temporary: true,
    message: /within 1000 ms/,
  })
  t.match(await events.find(({ kind }) => kind === 'unreachable'), { message: /within 1000 ms/ })
  hangs = false
  await events.find(({ kind }) => kind === 'reachable')
})

t.test('docker link: an engine that hangs up is found again', async t => {
  const { socketPath, hangUp } = await playEngine(t, (_, response) => response.end('[]'))
  const runtime = await startDockerRuntime({ socketPath, cluster: 'c', node: 'n' })
  t.teardown(() => runtime.close())
  const events = new Events(runtime)
  t.strictSame(await runtime.list(), [])
  hangUp()
  await events.find(({ kind }) => kind === 'reachable')
  t.strictSame(
    events.all.map(({ kind }) => kind),
    ['unreachable', 'reachable'],
  )
  t.strictSame(await runtime.list(), [])
})

t.test('docker link: an exit is told with its reason, once, and only of a known task', async t => {
  const launch = makeLaunch({ image: 'i' })
  const { socketPath, tell } = await playEngine(t, (path, response) => {
    const created = path === '/containers/create'
    response.writeHead(created ? 201 : path === '/_ping' ? 200 : 204)
    response.end(created ? '{"Id":"abc"}' : undefined)
  })
  const runtime = await startDockerRuntime({ socketPath, cluster: 'c', node: 'n' })
  t.teardown(() => runtime.close())
  const events = new Events(runtime)
  await runtime.start(launch, unhurried())
  tell({ words: 'that nobody knows' })
  tell(about('die', '/stranger.0@x'))
  tell(about('oom', launch.task))
  tell(about('die', launch.task))
  tell(about('die', launch.task))
  const message = 'out of memory, exited with code 137'
  const told = { kind: 'exited', task: launch.task, exitCode: 137, message }
  t.match(await events.find(({ kind }) => kind === 'exited'), told)
  t.strictSame(events.all, [told])
})

t.test('docker link: a failed start takes its container away again', async t => {
  const asked: string[] = []
  const { socketPath } = await playEngine(t, (path, response) => {
    asked.push(path)
    if (path === '/containers/create') response.writeHead(201).end('{"Id":"abc"}')
    else if (path.endsWith('/start')) {
      response
        .writeHead(500)
        .end('{"message":"Bind for 0.0.0.0:80 failed: port is already allocated"}')
    } else response.writeHead(path === '/_ping' ? 200 : 204).end()
  })
  const runtime = await startDockerRuntime({ socketPath, cluster: 'c', node: 'n' })
  t.teardown(() => runtime.close())
  const launch = makeLaunch({ image: 'i' })
  await t.rejects(runtime.start(launch, unhurried()), { code: 'port-taken', temporary: true })
  t.strictSame(asked, ['/_ping', '/containers/create', '/containers/abc/start', '/containers/abc'])
})

/** How an engine lists the container of a launch. */
function listed({ task, slot, revision }: Launch, state: string): object {
  const Labels = {
    [LABELS.task]: task,
    [LABELS.slot]: slot,
    [LABELS.revision]: revision,
  }
  return { Id: 'abc', Labels, State: state, Status: 'Exited (0)', Created: 1 }
}

/** An engine whose answer to the first list waits, while all else goes on. */
async function playSlowList(
  t: Test,
  lists: readonly (readonly object[])[],
): Promise<{ runtime: Runtime; first: Promise<void>; release: () => void; count: () => number }> {
  const [asked, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let count = 0
  const { socketPath } = await playEngine(t, (path, response) => {
    if (path === '/containers/json') {
      const answer = JSON.stringify(lists[count++])
      if (count > 1) return void response.end(answer)
      asked.resolve()
      void released.promise.then(() => response.end(answer))
    } else if (path === '/containers/create') response.writeHead(201).end('{"Id":"abc"}')
    else response.writeHead(path === '/_ping' ? 200 : 204).end()
  })
  const runtime = await startDockerRuntime({ socketPath, cluster: 'c', node: 'n' })
  t.teardown(() => runtime.close())
  return { runtime, first: asked.promise, release: () => released.resolve(), count: () => count }
}

t.test('docker link: a list that a start overtook is asked for again', async t => {
  const launch = makeLaunch({ image: 'i' })
  const { runtime, first, release } = await playSlowList(t, [[], [listed(launch, 'running')]])
  const tasks = runtime.list()
  await first
  await runtime.start(launch, unhurried())
  release()
  t.match(await tasks, [{ task: launch.task, running: true }], 'it would be taken for gone')
})

t.test('docker link: a list that a removal overtook is asked for again', async t => {
  const launch = makeLaunch({ image: 'i' })
  const there = [listed(launch, 'exited')]
  const { runtime, first, release, count } = await playSlowList(t, [there, there, []])
  const tasks = runtime.list()
  await first
  await runtime.remove(launch.task)
  release()
  t.strictSame(await tasks, [], 'it would be taken for a task that nobody knew of')
  t.equal(count(), 3, 'two lists, and the look for what is to be removed')
})

t.test('docker link: what is being removed is in no list', async t => {
  const launch = makeLaunch({ image: 'i' })
  const [asked, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const { socketPath } = await playEngine(t, (path, response) => {
    if (path === '/containers/json') {
      return void response.end(JSON.stringify([listed(launch, 'exited')]))
    }
    response.writeHead(path === '/_ping' ? 200 : 204)
    if (path !== '/containers/abc') return void response.end()
    asked.resolve()
    void released.promise.then(() => response.end())
  })
  const runtime = await startDockerRuntime({ socketPath, cluster: 'c', node: 'n' })
  t.teardown(() => runtime.close())
  t.match(await runtime.list(), [{ task: launch.task, running: false }])
  const removed = runtime.remove(launch.task)
  await asked.promise
  t.strictSame(await runtime.list(), [])
  released.resolve()
  await removed
})
