import { once } from 'node:events'
import { statSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { LoopbackCluster, type Daemon } from '../e2e/loopback-cluster.ts'

interface Answer {
  readonly status: number
  readonly text: string
}

async function ask(
  daemon: Daemon,
  path: string,
  { method = 'GET', headers = {}, body = '' }: Record<string, never> | AskOptions = {},
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const { api: port } = daemon.ports
  const sent = request({ host: '127.0.0.1', port, path, method, headers }, response => {
    let text = ''
    response.on('data', (piece: Buffer) => void (text += piece.toString()))
    response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
  })
  sent.on('error', reject)
  sent.end(body)
  return await promise
}

interface AskOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

t.test('the API of a daemon', async t => {
  const cluster = await LoopbackCluster.start(t, 1)
  const [daemon] = cluster.daemons as [Daemon]
  const { api: port } = daemon.ports

  t.test('hosts: only names of this machine are answered', async t => {
    const good = ['localhost', 'LOCALHOST', 'localhost.', '127.0.0.1', '127.8.9.1', '[::1]']
    const bad = ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '10.0.0.1']
    const odd = ['[::2]', '127.0.0.1:80:80', '127.0.0.999', 'localhost:x']
    for (const host of good) {
      for (const named of [host, `${host}:${port}`]) {
        t.equal((await ask(daemon, '/ping', { headers: { host: named } })).status, 200, named)
      }
    }
    for (const host of [...bad, ...bad.map(one => `${one}:${port}`), ...odd]) {
      const answer = await ask(daemon, '/v1/status', { headers: { host } })
      t.equal(answer.status, 403, host)
      t.match(JSON.parse(answer.text), { message: /answers to localhost only/ })
    }
  })

  t.test('origins: a web page may not call', async t => {
    const own = `http://localhost:${port}`
    const host = `localhost:${port}`
    t.equal((await ask(daemon, '/ping', { headers: { host, origin: own } })).status, 200)
    for (const origin of ['http://evil.example', 'null', 'http://localhost:1', `https://${host}`]) {
      const answer = await ask(daemon, '/v1/leave', { method: 'POST', headers: { host, origin } })
      t.equal(answer.status, 403, origin)
      t.match(JSON.parse(answer.text), { message: /web page .* refused/ })
    }
    t.equal((await daemon.status()).nodes.alive, 1, 'and nothing of it was done')
  })

  t.test('a request without a Host is no browser’s', async t => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.on('data', (piece: Buffer) => void (text += piece.toString()))
    socket.write('GET /ping HTTP/1.0\r\n\r\n')
    await once(socket, 'close')
    t.match(text, /^HTTP\/1\.1 200 OK[\s\S]*pong$/)
  })

  t.test('what is wrong is told in one line', async t => {
    const json = { 'content-type': 'application/json' }
    const cases: [string, AskOptions, number, RegExp][] = [
      ['/v1/scale', { method: 'POST', body: '{"app":' }, 400, /^the body is not JSON: /],
      ['/v1/scale', { method: 'POST', body: '{"app":"x"}' }, 400, /^instances: /],
      ['/v1/scale', { method: 'POST', body: '[]' }, 400, /^the request: /],
      ['/v1/scale', { method: 'POST' }, 400, /^the request: /],
      ['/v1/apply', { method: 'POST', body: '{"files":[],"x":1}' }, 400, /files|x/],
      ['/v1/token', { method: 'POST', body: '{"ttl":"soon"}' }, 400, /must be a duration such as/],
      ['/v1/app?app=nope', {}, 404, /^there is no app \/nope: see `shoal ls`$/],
      ['/v1/app?app=No%20Pe', {}, 400, /^an app's id is /],
      ['/v1/app', {}, 400, /^app: /],
      ['/v1/resolve?name=x&type=FOO', {}, 400, /no record type FOO/],
      ['/v1/nope', {}, 404, /^there is no GET \/v1\/nope here$/],
      ['/v1/scale', {}, 404, /^there is no GET \/v1\/scale here$/],
    ]
    for (const [path, options, status, message] of cases) {
      const answer = await ask(daemon, path, { ...options, headers: json })
      t.equal(answer.status, status, `${path} ${options.body ?? ''}`)
      const said = (JSON.parse(answer.text) as { message: string }).message
      t.match(said, message)
      t.notMatch(said, '\n')
    }
  })

  t.test('a body that is too large is refused, and the daemon lives on', async t => {
    const body = JSON.stringify({ files: [{ name: 'a', text: ' '.repeat(33 * 1024 * 1024) }] })
    const [answer] = await Promise.allSettled([ask(daemon, '/v1/apply', { method: 'POST', body })])
    // The daemon answers before it has read all, so a client may see only that it hung up.
    if (answer.status === 'fulfilled') t.equal(answer.value.status, 413)
    else t.match(answer.reason, { code: /ECONNRESET|EPIPE/ })
    t.equal((await ask(daemon, '/ping')).text, 'pong')
  })

  t.test('an unknown app is told with the one that was meant', async t => {
    await daemon.must('run', '--name', '/shop/web', '--', 'sleep', '1000')
    for (const [typed, meant] of [
      ['shop/wbe', '/shop/web'],
      ['web', '/shop/web'],
    ] as const) {
      const { status, text } = await ask(daemon, `/v1/why?app=${encodeURIComponent(typed)}`)
      t.equal(status, 404)
      t.match(JSON.parse(text), { message: `there is no app /${typed}: did you mean ${meant}?` })
    }
  })

  t.test('keys and socket are for their owner alone', async t => {
    t.equal(modeOf(daemon.dir), '700')
    for (const file of ['shoal.sock', 'node.key', 'cluster.json', 'shoal.db']) {
      t.equal(modeOf(join(daemon.dir, file)), '600', file)
    }
  })

  t.test('metrics are Prometheus’ text', async t => {
    const { status, text } = await ask(daemon, '/metrics')
    t.equal(status, 200)
    const name = '[a-zA-Z_:][a-zA-Z0-9_:]*'
    const label = `${name}="(?:[^"\\\\\\n]|\\\\.)*"`
    // Prometheus reads NaN in any case, and prom-client writes Nan.
    const sample = new RegExp(
      `^(${name})(?:\\{${label}(?:,${label})*\\})? (?:[-+0-9.e]+|N[aA][nN]|[+-]Inf)$`,
    )
    const typed = new Set<string>()
    for (const line of text.trimEnd().split('\n')) {
      const [, declared] =
        new RegExp(`^# TYPE (${name}) (?:counter|gauge|histogram|summary)$`).exec(line) ?? []
      if (declared !== undefined) typed.add(declared)
      if (line === '' || line.startsWith('#')) continue
      const [, metric = ''] = sample.exec(line) ?? []
      const base = metric.replace(/_(?:bucket|sum|count)$/, '')
      t.ok(typed.has(metric) || typed.has(base), line)
    }
    t.match(text, /^shoal_nodes\{verdict="alive"\} 1$/m)
    t.match(text, /^shoal_slots\{placed="yes"\} 1$/m)
  })
})

function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8)
}
