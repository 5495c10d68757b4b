import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { createServer as createTcpServer, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { appSchema, type AppInput, type HealthCheck } from '../../src/model/app.ts'
import type { TaskPort } from '../../src/model/task.ts'
import { probe, type ProbeResult, type ProbeTarget } from '../../src/runtime/probe.ts'
import { freePort } from './launches.ts'

type CheckInput = NonNullable<AppInput['health']>[number]

function checkOf(input: CheckInput): HealthCheck {
  const ports = [{}, { name: 'admin' }]
  return appSchema.parse({ id: '/web', command: 'x', ports, health: [input] }).health[0]!
}

function portOf(server: Server, name = ''): TaskPort {
  const { port } = server.address() as AddressInfo
  return { name, protocol: 'tcp', containerPort: port, hostPort: port }
}

async function listen<S extends Server>(t: Test, server: S): Promise<S> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return server
}

function exec(): Promise<number> {
  return Promise.reject(new Error('not a command'))
}

function look(input: CheckInput, more: Partial<ProbeTarget>): Promise<ProbeResult> {
  return probe({ check: checkOf(input), address: '127.0.0.1', ports: [], exec, ...more })
}

t.test('probe: an HTTP status from 200 to 399 is healthy', async t => {
  const asked: string[] = []
  const server = await listen(
    t,
    createServer((request, response) => {
      asked.push(request.url ?? '')
      const status = Number(request.url?.slice(1))
      response.writeHead(status, { location: 'http://127.0.0.1:1/' })
      response.end('x'.repeat(100_000))
    }),
  )
  const ports = [portOf(server)]
  for (const [status, healthy] of [
    [200, true],
    [204, true],
    [302, true],
    [399, true],
    [400, false],
    [503, false],
  ] as const) {
    const result = await look({ kind: 'http', path: `/${status}` }, { ports })
    t.strictSame(result, { healthy, message: `HTTP ${status}` })
  }
  t.equal(asked.length, 6, 'no redirect was followed')
  t.match(await look({ kind: 'http', path: '200' }, { ports }), { healthy: true })
})

t.test('probe: no connection is left open', async t => {
  const server = await listen(
    t,
    createServer((_, response) => response.writeHead(200).write('and it never ends')),
  )
  const closed = once(server, 'connection').then(([socket]) => once(socket as never, 'close'))
  t.match(await look({ kind: 'http' }, { ports: [portOf(server)] }), { healthy: true })
  await closed
})

t.test('probe: TCP is healthy when somebody listens, on the port that is named', async t => {
  const server = await listen(t, createTcpServer())
  const closed = await freePort()
  const ports = [closed, portOf(server, 'admin')]
  t.match(await look({ kind: 'tcp', port: 'admin' }, { ports }), { healthy: true })
  t.match(await look({ kind: 'tcp', port: 1 }, { ports }), { healthy: true })
  t.match(await look({ kind: 'tcp', port: 0 }, { ports }), {
    healthy: false,
    message: /ECONNREFUSED/,
  })
  t.match(await look({ kind: 'tcp' }, { ports: [] }), { healthy: false, message: /no port 0/ })
})

t.test('probe: a command is healthy with exit code 0', async t => {
  const command = ['check', 'me']
  for (const [code, healthy] of [
    [0, true],
    [1, false],
  ] as const) {
    const asked: unknown[] = []
    const result = await look(
      { kind: 'command', command, timeout: '3s' as never },
      {
        exec: async (...args) => {
          asked.push(args)
          return code
        },
      },
    )
    t.strictSame(result, { healthy, message: `exit code ${code}` })
    t.strictSame(asked, [[command, { timeoutMs: 3000 }]])
  }
  t.match(await look({ kind: 'command', command }, {}), {
    healthy: false,
    message: 'not a command',
  })
})

t.test('probe: no answer within the timeout is unhealthy', async t => {
  const silent = await listen(t, createTcpServer())
  const ports = [portOf(silent)]
  for (const scheme of ['http', 'https'] as const) {
    const result = await look({ kind: 'http', scheme, timeout: '100ms' as never }, { ports })
    t.strictSame(result, { healthy: false, message: 'no answer within 100 ms' })
  }
})

t.test('probe: a certificate is not checked, since a task is reached by its address', async t => {
  const dir = mkdtempSync(join(tmpdir(), 'shoal-probe-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
  const words = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=x -days 1 -keyout ${key} -out ${cert}`
  const { error } = spawnSync('/usr/bin/openssl', words.split(' '), { stdio: 'ignore' })
  if (error !== undefined) {
    t.pass('it takes openssl to make a certificate', { skip: 'no openssl on this machine' })
    return
  }
  const server = await listen(
    t,
    createHttpsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_, response) =>
      response.writeHead(204).end(),
    ),
  )
  const result = await look({ kind: 'http', scheme: 'https' }, { ports: [portOf(server)] })
  t.strictSame(result, { healthy: true, message: 'HTTP 204' })
})
