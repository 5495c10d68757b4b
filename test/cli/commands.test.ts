import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { LoopbackCluster, shoal, type Daemon, type Ran } from '../e2e/loopback-cluster.ts'

const SHOAL = join(import.meta.dirname, '../../bin/shoal')

/** Checks a failure: nothing on stdout, one line on stderr that a person can act on. */
function failed(t: Test, ran: Ran, status: number, line: RegExp): void {
  t.equal(ran.status, status, ran.stderr.trim())
  t.equal(ran.stdout, '')
  t.match(ran.stderr, /^shoal: [^\n]+\n$/)
  t.match(ran.stderr, line)
}

t.test('the command line against a daemon', async t => {
  const cluster = await LoopbackCluster.start(t, 1)
  const [daemon] = cluster.daemons as [Daemon]
  await daemon.must('run', '--name', '/shop/web', '--wait', '--', 'sleep', '1000')

  t.test('wrong usage is one line and exit 2', async t => {
    const cases: [string[], RegExp][] = [
      [['frob'], /unknown command 'frob'/],
      [['stats'], /Did you mean status\?/],
      [['ps', '--jsn'], /unknown option '--jsn' \(Did you mean --json\?\)/],
      [['scale'], /missing required argument/],
      [['scale', 'web'], /APP=N, such as web=5, got web/],
      [['node', 'label', 'n1'], /missing required argument 'labels'/],
      [['node', 'label', 'n1', 'zone'], /KEY=VALUE to set and KEY- to unset, got zone/],
      [['node', 'drain', 'n1', '--timeout', '-1'], /whole number/],
      [['settings', 'moveBudgetPerMinute'], /SETTING=NUMBER or SETTING=default, such as/],
      [['settings', 'moveBudgetPerMinute=-1'], /SETTING=NUMBER or SETTING=default, such as/],
      [['apply'], /required option '-f, --file <file...>' not specified/],
      [['apply', '-f', 'x', '--timeout', 'soon'], /whole number/],
      [['run', '--', 'true'], /a plain command needs a name: --name APP/],
      [['run', '--name', 'x', '--port', 'http', '--', 'true'], /takes a port or hostPort:port/],
      [['up', '--port', '99999'], /--port must be a port from 0 to 65535, got 99999/],
      [['up', '--name', 'Not A Label'], /--name must be a DNS label/],
      [['up', '--advertise', 'host'], /--advertise must be an IP address/],
      [
        ['up', '--dns-forward', '192.0.2.1', '--dns-forward', 'corp.example=dns'],
        /--dns-forward must be "none", an IP address .*, got corp\.example=dns/,
      ],
      [
        ['up', '--dns-allow', 'none', '--dns-transfer', 'monitor'],
        /--dns-transfer must be IP networks such as 10\.0\.0\.0\/8 .*, got monitor/,
      ],
    ]
    for (const [args, line] of cases) failed(t, await daemon.shoal(...args), 2, line)
    failed(t, await shoal(['--host', 'http://[', 'ps']), 2, /--host must be a URL/)
  })

  t.test('what fails is one line and exit 1', async t => {
    const cases: [string[], RegExp][] = [
      [['ps', 'shop/wbe'], /no app \/shop\/wbe: did you mean \/shop\/web\?/],
      [['why', 'web'], /no app \/web: did you mean \/shop\/web\?/],
      [['logs', 'nothing-like-it'], /no app \/nothing-like-it: see `shoal ls`/],
      [['rm', 'shop/we'], /did you mean \/shop\/web\?/],
      [['scale', 'shop/web=99999999'], /^shoal: instances: .*10000/],
      [['node', 'cordon', 'n2'], /no node n2: did you mean n1\?/],
      [['node', 'inspect', 'elsewhere'], /no node elsewhere: see `shoal node ls`/],
      [['node', 'label', 'n1', '@zone=a'], /Cannot label node n1: a key must be .* got @zone/],
      [['node', 'label', 'n1', 'a=b', 'a-'], /a cannot be set and unset at once/],
      [['settings', 'moveBudgetPerHour=3'], /no setting .*: did you mean moveBudgetPerMinute\?/],
      [['settings', 'moveBudgetPerMinute=0'], /must be a whole number from 1 to 10000, or default/],
      [['apply', '-f', '/no/such/file'], /cannot read \/no\/such\/file: /],
      [['resolve', 'x', 'FOO'], /no record type FOO/],
      [['join', 'hello'], /./],
    ]
    for (const [args, line] of cases) failed(t, await daemon.shoal(...args), 1, line)
    const nobody = await shoal(['--data', join(cluster.root, 'nobody'), 'ps'])
    failed(t, nobody, 1, /no daemon runs with its data in .*nobody: start one with `shoal up`/)
    failed(t, await shoal(['--host', 'localhost:1', 'ps']), 1, /./)
    t.equal((await daemon.shoal('resolve', 'nobody')).status, 1, 'no such name')
  })

  t.test('each listing is JSON on request', async t => {
    const listings = [
      ['ls'],
      ['ps'],
      ['ps', 'shop/web'],
      ['inspect', 'shop/web'],
      ['why', 'shop/web'],
      ['status'],
      ['node', 'ls'],
      ['node', 'inspect', 'n1'],
      ['node', 'label', 'n1', 'a-'],
      ['node', 'uncordon', 'n1'],
      ['settings'],
      ['settings', 'moveBudgetPerMinute=default'],
      ['events'],
      ['resolve', '_web-shop._tcp'],
      ['export'],
      ['token', 'create'],
      ['scale', 'shop/web=1'],
    ]
    for (const args of listings) {
      const { stdout, stderr } = await daemon.shoal(...args, '--json')
      t.equal(typeof JSON.parse(stdout), 'object', args.join(' '))
      t.equal(stderr, '')
    }
  })

  t.test('labels and modes of a node, and settings, are said and shown', async t => {
    const must = async (...args: string[]): Promise<string> => await daemon.must(...args)
    t.equal(await must('node', 'label', 'n1', 'zone=a', 'disk='), 'n1 is labelled: zone=a, disk=\n')
    t.equal(await must('node', 'label', 'n1', 'zone=a'), 'n1 was labelled already: zone=a\n')
    t.match(await must('node', 'ls'), / disk= zone=a\n$/)
    t.equal(await must('node', 'label', 'n1', 'disk-'), 'n1 is labelled: no disk\n')
    t.match(await must('node', 'inspect', 'n1'), /^labels {5}zone=a$/m)

    await must('node', 'cordon', 'n1')
    t.equal(await must('node', 'cordon', 'n1'), 'n1 is cordoned already\n')
    t.match(await must('node', 'ls'), /^n1 \* +alive, cordoned /m)
    t.match(await must('why', 'shop/web'), /it stays on n1 \(cordoned\)\n {2}✓ n1 .*is cordoned/)
    await must('scale', 'shop/web=2')
    t.match(await must('why', 'shop/web'), /\/shop\/web\.1: pending: .*✗ n1 .*: is cordoned/s)
    const drained = await daemon.shoal('node', 'drain', 'n1', '--wait')
    t.match(drained, { status: 0, stderr: /nothing runs on n1 after/ })
    t.match(await must('why', 'shop/web'), /\/shop\/web\.0: pending: .*✗ n1 .*: is drained/s)
    t.equal(await must('node', 'uncordon', 'n1'), 'n1 takes work again\n')
    await daemon.serving('shop/web', 2)
    await must('scale', 'shop/web=1')

    t.match(await must('settings'), /^moveBudgetPerMinute +default +a tenth of all slots/m)
    t.equal(await must('settings', 'moveBudgetPerMinute=30'), 'moveBudgetPerMinute=30\n')
    t.match(await must('settings', 'moveBudgetPerMinute=30'), /30, as before\n$/)
    t.match(await must('settings'), /^moveBudgetPerMinute +30 /m)
    await must('settings', 'moveBudgetPerMinute=default')
  })

  t.test('a label that the node declares is not unset, but told apart', async t => {
    await daemon.end('SIGTERM')
    await daemon.start('--label', 'rack=7')
    failed(t, await daemon.shoal('node', 'label', 'n1', 'rack-'), 1, /n1 itself declares rack=7 /)
    await daemon.must('node', 'label', 'n1', 'rack=8')
    const shown = await daemon.must('node', 'inspect', 'n1')
    t.match(shown, /^labels {5}rack=8 zone=a\n {11}rack=7 by its own word does not count$/m)
    await daemon.must('node', 'label', 'n1', 'rack-', 'zone-')
    t.match(await daemon.must('node', 'inspect', 'n1'), /^labels {5}rack=7$/m)
  })

  t.test('SHOAL_DATA and --host name the daemon, too', async t => {
    const env = { SHOAL_DATA: daemon.dir }
    t.match(await shoal(['ls'], { env }), { status: 0, stdout: /^\/shop\/web /m })
    const host = `http://localhost:${daemon.ports.api}`
    t.match(await shoal(['--host', host, 'ls']), { status: 0, stdout: /^\/shop\/web /m })
  })

  t.test('apply says every problem of every file, and applies nothing', async t => {
    const good = join(cluster.root, 'good.yaml')
    const bad = join(cluster.root, 'bad.json')
    writeFileSync(good, 'id: good\ncommand: sleep 1000\n')
    writeFileSync(
      bad,
      '{\n  "id": "bad",\n  "command": "true",\n  "instances": -1,\n  "imge": "x"\n}\n',
    )
    const { status, stdout, stderr } = await daemon.shoal('apply', '-f', good, bad)
    t.equal(status, 1)
    t.equal(stdout, '')
    const lines = stderr.trim().split('\n')
    t.equal(lines.at(-1), 'shoal: nothing was applied')
    t.match(
      lines.find(line => line.includes('instances')),
      new RegExp(`^${bad}:4: instances: .*-1`),
    )
    t.match(
      lines.find(line => line.includes('imge')),
      new RegExp(`^${bad}:5: .*image`),
    )
    t.notMatch(await daemon.must('ls'), 'good')
  })

  t.test('apply reads standard input, dry runs, and says what changed', async t => {
    const args = ['--data', daemon.dir, 'apply', '-f', '-']
    const input = 'id: one\ncommand: sleep 1000\n'
    const dry = await shoal([...args, '--dry-run'], { input })
    t.match(dry, { status: 0, stdout: /^# \/one would be created\nid: \/one\n/ })
    t.notMatch(await daemon.must('ls'), '/one')
    t.match(await shoal([...args, '--wait'], { input }), { status: 0, stdout: '/one created\n' })
    t.match(await shoal(args, { input }), { status: 0, stdout: '/one unchanged\n' })
    const other = input.replace('1000', '2000')
    t.match(await shoal(args, { input: other }), { status: 0, stdout: '/one updated\n' })
    await daemon.must('rm', 'one')
  })

  t.test('apply --wait gives up with the reason', async t => {
    const args = ['--data', daemon.dir, 'apply', '-f', '-', '--wait', '--timeout', '1']
    const input = 'id: big\ncommand: sleep 1000\nresources: { memMb: 9999999 }\n'
    const { status, stdout, stderr } = await shoal(args, { input })
    t.equal(status, 1)
    t.equal(stdout, '/big created\n', 'it is wanted, though it does not run')
    t.match(
      stderr,
      /^shoal: not all serve after 1s \(\/big 0\/1\): \/big\.0 is pending: no node can/m,
    )
    t.notMatch(stderr, '\u001B', 'no terminal, no escapes')
    await daemon.must('rm', 'big')
  })

  t.test('run takes ports and environment, more than one of each', async t => {
    const ports = ['--port', '9001', '--port', '31555:9002']
    const env = ['--env', 'A=1', '--env', 'B=x=y']
    await daemon.must('run', ...ports, ...env, '--instances', '0', 'shop/hello_world:1.2')
    const { spec } = JSON.parse(await daemon.must('inspect', 'hello-world', '--json')) as {
      spec: unknown
    }
    t.match(spec, {
      image: 'shop/hello_world:1.2',
      env: { A: '1', B: 'x=y' },
      ports: [
        { port: 9001, hostPort: 0 },
        { port: 9002, hostPort: 31555 },
      ],
    })
    await daemon.must('rm', 'hello-world')
  })

  t.test('help is on standard output, with an example where one is useful', async t => {
    const { status, stdout } = await shoal(['--help'])
    t.equal(status, 0)
    const commands = Array.from(stdout.matchAll(/^ {2}([a-z]+) /gm), ([, name]) => name!)
    t.ok(commands.length > 15, commands.join(' '))
    for (const name of commands) {
      const help = await shoal([name, '--help'])
      t.match(help, { status: 0, stderr: '', stdout: new RegExp(`^Usage: shoal `) }, name)
      t.notMatch(help.stdout, 'default: {}')
    }
    for (const name of ['up', 'apply', 'run', 'scale', 'why', 'logs', 'resolve', 'export']) {
      t.match((await shoal([name, '--help'])).stdout, /Examples?:\n/, name)
    }
  })

  t.test('a reader that has had enough, as `head` has, is told nothing', async t => {
    for (const args of [['--help'], ['events', '--data', daemon.dir]]) {
      const child = spawn(SHOAL, args, { stdio: ['ignore', 'pipe', 'pipe'] })
      child.stdout.destroy()
      const [ended, words] = await Promise.all([once(child, 'close'), text(child.stderr)])
      t.strictSame([ended, words], [[141, null], ''], args.join(' '))
    }
  })
})
