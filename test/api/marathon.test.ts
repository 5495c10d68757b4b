import { spawnSync } from 'node:child_process'
import t from 'tap'
import { readFileSync } from 'node:fs'
import { LoopbackCluster, type Daemon } from '../e2e/loopback-cluster.ts'

const FILE = 'examples/hello-marathon.json'
const ID = '/marathon-demo-application'

interface Answer {
  readonly status: number
  readonly body: Record<string, unknown>
  readonly deployment: string | null
}

t.test('/v2/apps answers as Marathon does', async t => {
  const cluster = await LoopbackCluster.start(t, 1)
  const [daemon] = cluster.daemons as [Daemon]
  const base = `http://localhost:${daemon.ports.api}`

  async function call(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await fetch(`${base}${path}`, {
      method,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    return {
      status: response.status,
      body: (await response.json()) as Record<string, unknown>,
      deployment: response.headers.get('marathon-deployment-id'),
    }
  }

  t.test('the tutorial’s curl, with each content type that curl may send', async t => {
    if (spawnSync('curl', ['--version']).error === undefined) {
      const { stdout } = spawnSync(
        'curl',
        ['-s', '-w', '\n%{http_code}', '-X', 'POST', `${base}/v2/apps`, '-d', `@${FILE}`].concat([
          '-H',
          'Content-type: application/json',
        ]),
        { encoding: 'utf8' },
      )
      const [text = '', code] =
        stdout.trim().split('\n').length > 1 ? stdout.trim().split(/\n(?=\d+$)/) : []
      t.equal(code, '201')
      t.match(JSON.parse(text), { id: ID, deployments: [{ id: /^[0-9a-f-]{36}$/ }] })
      await call('DELETE', `/v2/apps${ID}`)
    }
    const body = readFileSync(FILE, 'utf8')
    for (const type of [
      'application/json',
      'application/json; charset=utf-8',
      'application/x-www-form-urlencoded',
      'text/plain',
      undefined,
    ]) {
      const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type }
      const made = await fetch(`${base}/v2/apps`, {
        method: 'POST',
        body: Buffer.from(body),
        headers,
      })
      t.equal(made.status, 201, type ?? 'none')
      t.match(await made.json(), { id: ID, instances: 1, cpus: 1, mem: 128 })
      t.equal((await call('DELETE', `/v2/apps${ID}`)).status, 200)
    }
  })

  t.test('create, conflict, read, change, delete', async t => {
    const app = { id: '/shop/web', cmd: 'sleep 1000', cpus: 0.1, mem: 32, instances: 0 }
    const made = await call('POST', '/v2/apps', app)
    t.match(made, { status: 201, body: { ...app, tasks: undefined, tasksRunning: 0 } })
    t.match(made.deployment, /^[0-9a-f-]{36}$/)
    t.match(await call('POST', '/v2/apps', app), {
      status: 409,
      body: { message: 'An app with id [/shop/web] already exists.' },
    })

    t.match(await call('GET', '/v2/apps/shop/web'), {
      status: 200,
      body: { app: { id: '/shop/web', cmd: 'sleep 1000', tasks: [], deployments: [] } },
    })
    t.match(await call('GET', '/v2/apps//shop/web'), { status: 200 }, 'as scripts glue it')
    t.match(await call('GET', '/v2/apps'), { status: 200, body: { apps: [{ id: '/shop/web' }] } })
    t.match(await call('GET', '/v2/apps/shop/web/tasks'), { status: 200, body: { tasks: [] } })

    const changed = await call('PUT', '/v2/apps/shop/web', { instances: 1 })
    t.match(changed, { status: 200, body: { version: /T/, deploymentId: /^[0-9a-f-]{36}$/ } })
    t.match(await call('GET', '/v2/apps/shop/web'), {
      body: { app: { cmd: 'sleep 1000', instances: 1 } },
    })
    const [task] = await daemon.serving('shop/web', 1)
    t.match(await call('GET', '/v2/apps/shop/web'), {
      body: { app: { tasksRunning: 1, tasks: [{ id: task!.task, state: 'TASK_RUNNING' }] } },
    })
    t.match(await call('PUT', '/v2/apps/new', { cmd: 'true', instances: 0 }), { status: 201 })

    t.match(await call('DELETE', '/v2/apps/shop/web'), {
      status: 200,
      body: { deploymentId: /^[0-9a-f-]{36}$/ },
    })
    for (const method of ['GET', 'DELETE']) {
      t.match(await call(method, '/v2/apps/shop/web'), {
        status: 404,
        body: { message: "App '/shop/web' does not exist" },
      })
    }
  })

  t.test('what is not valid is told field by field', async t => {
    t.match(await call('POST', '/v2/apps', { id: '/x', cmd: 'true', instances: -1 }), {
      status: 422,
      body: { message: 'Object is not valid', details: [{ path: '/instances' }] },
    })
    t.match(await call('POST', '/v2/apps', []), { status: 422 })
    const bad = await fetch(`${base}/v2/apps`, { method: 'POST', body: '{"id":' })
    t.equal(bad.status, 400)
    t.match(await bad.json(), { message: /not JSON/ })
  })
})
