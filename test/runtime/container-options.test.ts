import t from 'tap'
import type { AppInput } from '../../src/model/app.ts'
import type { TaskId } from '../../src/model/ids.ts'
import type { TaskPort } from '../../src/model/task.ts'
import {
  containerName,
  containerOptions,
  parseContainer,
} from '../../src/runtime/container-options.ts'
import { workDigest } from '../../src/util/work-digest.ts'
import { makeLaunch } from './launches.ts'

const web: TaskPort = { name: 'web', protocol: 'tcp', containerPort: 80, hostPort: 31_000 }
const dns: TaskPort = { name: '', protocol: 'udp', containerPort: 53, hostPort: 31_001 }
const again: TaskPort = { name: '', protocol: 'tcp', containerPort: 80, hostPort: 31_002 }

t.test('containerOptions() gives what was asked for', async t => {
  const cases: [string, Omit<AppInput, 'id'>, object][] = [
    [
      'a string for the shell',
      { command: 'a | b' },
      { Entrypoint: ['/bin/sh', '-c'], Cmd: ['a | b'] },
    ],
    [
      'arguments for the image',
      { command: ['a', 'b'] },
      { Entrypoint: undefined, Cmd: ['a', 'b'] },
    ],
    ['an entrypoint', { entrypoint: ['e'] }, { Entrypoint: ['e'], Cmd: undefined }],
    [
      'an entrypoint and a string',
      { entrypoint: ['e'], command: 'a' },
      { Entrypoint: ['e'], Cmd: ['/bin/sh', '-c', 'a'] },
    ],
    ['the image’s own', {}, { Entrypoint: undefined, Cmd: undefined, User: undefined }],
    ['a user and a folder', { user: '1:2', workdir: '/w' }, { User: '1:2', WorkingDir: '/w' }],
    ['a grace in whole seconds', { stopGrace: '1500ms' as never }, { StopTimeout: 2 }],
    ['a terminal', { tty: true }, { Tty: true }],
    ['a weight', { resources: { cpus: 2 } }, { HostConfig: { CpuShares: 2048 } }],
    ['the least weight', { resources: { cpus: 0 } }, { HostConfig: { CpuShares: 2 } }],
    ['no limits', {}, { HostConfig: { NanoCpus: undefined, Memory: undefined } }],
    [
      'limits',
      { limits: { cpus: 0.25, memMb: 6 } },
      { HostConfig: { NanoCpus: 250_000_000, Memory: 6 * 1024 * 1024 } },
    ],
    ['never a restart', {}, { HostConfig: { RestartPolicy: { Name: 'no' } } }],
    ['privileges', { privileged: true }, { HostConfig: { Privileged: true } }],
    [
      'a folder and a volume',
      {
        volumes: [
          { source: '/srv', target: '/a', readOnly: true },
          { source: 'data', target: '/b' },
        ],
      },
      {
        HostConfig: {
          Mounts: [
            { Type: 'bind', Source: '/srv', Target: '/a', ReadOnly: true },
            { Type: 'volume', Source: 'data', Target: '/b', ReadOnly: false },
          ],
        },
      },
    ],
    [
      'ports behind a bridge',
      {},
      {
        ExposedPorts: { '80/tcp': {}, '53/udp': {} },
        HostConfig: {
          NetworkMode: 'bridge',
          PortBindings: {
            '80/tcp': [{ HostPort: '31000' }, { HostPort: '31002' }],
            '53/udp': [{ HostPort: '31001' }],
          },
        },
      },
    ],
  ]
  for (const [name, app, expected] of cases) {
    const launch = makeLaunch({ image: 'i', ...app }, { ports: [web, dns, again] })
    t.match(containerOptions(launch, { cluster: 'c', node: 'n' }), expected, name)
  }
  const host = makeLaunch({ image: 'i', network: 'host' }, { ports: [web] })
  const { ExposedPorts: exposed, HostConfig: config } = containerOptions(host, {
    cluster: 'c',
    node: 'n',
  })
  t.strictSame(exposed, {})
  t.strictSame(config?.PortBindings, {}, 'with host networking the task listens by itself')
})

t.test('parseContainer() reads back what containerOptions() wrote', async t => {
  const launch = makeLaunch({ image: 'i', labels: { 'shoal.task': 'forged' } }, { ports: [web] })
  const { Labels: labels = {} } = containerOptions(launch, { cluster: 'c', node: 'n' })
  const { task, slot, revision, spec, ports } = launch
  const known = { task, slot, revision, work: workDigest(spec), ports, startedAtMs: 7000 }
  const cases: [string, string, object][] = [
    ['running', 'Up 5 minutes', { running: true }],
    ['paused', 'Up 5 minutes (Paused)', { running: true }],
    ['exited', 'Exited (3) 5 minutes ago', { running: false, exitCode: 3 }],
    ['exited', 'Exited (0) Less than a second ago', { running: false, exitCode: 0 }],
    ['created', 'Created', { running: false, exitCode: 137 }],
    ['dead', 'Dead', { running: false, exitCode: 137 }],
  ]
  for (const [state, status, expected] of cases) {
    const container = { Labels: labels, State: state, Status: status, Created: 7 }
    t.strictSame(parseContainer(container), { ...known, ...expected }, `${state}: ${status}`)
  }
  for (const damage of [
    { 'shoal.task': '' },
    { 'shoal.ports': 'not JSON' },
    { 'shoal.ports': '[{"name":1}]' },
  ]) {
    const container = { Labels: { ...labels, ...damage }, State: 'running', Status: '', Created: 7 }
    t.equal(parseContainer(container), undefined, JSON.stringify(damage))
  }
})

t.test('containerName() is one that Docker takes', async t => {
  t.equal(containerName('/web.2@k3f9x1' as TaskId), 'shoal-web.2-k3f9x1')
  t.equal(containerName('/shop/web.0@x' as TaskId), 'shoal-shop-web.0-x')
})

t.test('containerOptions() names the servers that a container on a bridge asks', async t => {
  const owner = { cluster: 'c1', node: 'n1' }
  const dnsOfNode = { servers: ['10.0.0.1', '10.0.0.2'], search: ['shop.svc.shoal', 'shoal'] }
  t.match(
    containerOptions(makeLaunch({ image: 'a', network: 'bridge' }), owner, dnsOfNode).HostConfig,
    {
      Dns: ['10.0.0.1', '10.0.0.2'],
      DnsSearch: ['shop.svc.shoal', 'shoal'],
      DnsOptions: ['timeout:1', 'attempts:3'],
    },
  )
  for (const host of [
    containerOptions(makeLaunch({ image: 'a', network: 'host' }), owner, dnsOfNode).HostConfig,
    containerOptions(makeLaunch({ image: 'a', network: 'bridge' }), owner).HostConfig,
  ]) {
    for (const key of ['Dns', 'DnsSearch', 'DnsOptions']) t.notOk(key in host!, key)
  }
})
