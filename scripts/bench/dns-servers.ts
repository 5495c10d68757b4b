/**
 * DNS servers to measure, each a process of its own on a port of loopback: ours, those of Debian, and a bare echo.
 *
 * @module
 */

import { fork, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { query } from '../../src/dns/query.ts'
import { parseType } from '../../src/dns/records.ts'
import type { DnsChildInput, DnsChildOrder } from './dns-child.ts'
import { dnsmasqFiles, QUESTIONS, zoneFile, type BenchQuestion } from './dns-names.ts'

const ADDRESS = '127.0.0.1'
const START_MS = 30_000
/** Of `/proc`: hundredths of a second. */
const TICKS_PER_SECOND = 100

/** A server that runs. */
export interface BenchServer extends AsyncDisposable {
  readonly name: string
  readonly port: number
  /** What it and its children have used since their start, by thread, in seconds. */
  cpuSeconds(): number[]
}

/** Our server, which takes orders. */
export interface ShoalServer extends BenchServer {
  ask(order: DnsChildOrder): Promise<number | number[]>
}

/** Starts ours. */
export async function startShoal(input: DnsChildInput): Promise<ShoalServer> {
  const child = fork(join(import.meta.dirname, 'dns-child.ts'), [JSON.stringify(input)], {
    execArgv: [...daemonFlags(), '--expose-gc'],
    env: { ...process.env, MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: '4096' },
  })
  const [port] = (await once(child, 'message')) as [number]
  return {
    ...serverOf('shoal', child, port),
    ask: async order => {
      const answered = once(child, 'message')
      child.send(order)
      const [answer] = (await answered) as [number | number[]]
      return answer
    },
  }
}

/** Starts the socket that sends back what it gets. */
export async function startEcho(): Promise<BenchServer> {
  const port = await freePort()
  const flags = ['--disable-warning=ExperimentalWarning']
  const child = spawn(
    process.execPath,
    [...flags, join(import.meta.dirname, 'dns-echo.ts'), String(port)],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  )
  await mustAnswer(port, { ...QUESTIONS.a, answers: 0 })
  return serverOf('a bare Node socket', child, port)
}

/** How each of Debian's servers is run in the foreground, one worker and no limits, with the same zone. */
const RIVALS: Readonly<
  Record<string, (folder: string, port: number, question: BenchQuestion) => readonly string[]>
> = {
  nsd: (folder, port) => {
    const conf = write(
      folder,
      'nsd.conf',
      `server:
  server-count: 1
  ip-address: ${ADDRESS}@${port}
  username: ""
  chroot: ""
  zonesdir: "${folder}"
  pidfile: "${folder}/nsd.pid"
  database: ""
  zonelistfile: "${folder}/nsd.list"
  xfrdfile: "${folder}/nsd.state"
  rrl-ratelimit: 0
  minimal-responses: no
remote-control:
  control-enable: no
zone:
  name: shoal
  zonefile: shoal.zone
`,
    )
    return ['nsd', '-d', '-c', conf]
  },
  knotd: (folder, port) => {
    const conf = write(
      folder,
      'knot.conf',
      `server:
  rundir: ${folder}
  listen: ${ADDRESS}@${port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: ${folder}
template:
  - id: default
    storage: ${folder}
    zonefile-sync: -1
    journal-content: none
    semantic-checks: false
zone:
  - domain: shoal
    file: shoal.zone
`,
    )
    return ['knotd', '-c', conf]
  },
  dnsmasq: (folder, port, question) => {
    const { hosts, services } = dnsmasqFiles(question)
    const conf = write(
      folder,
      'dnsmasq.conf',
      `port=${port}
listen-address=${ADDRESS}
bind-interfaces
user=root
pid-file=${folder}/dnsmasq.pid
no-resolv
no-hosts
local=/shoal/
local-ttl=5
addn-hosts=${write(folder, 'hosts', hosts)}
${services}
`,
    )
    return ['dnsmasq', '-k', '-C', conf]
  },
}

/** Those of the servers to compare with that are installed. */
export function installedRivals(): string[] {
  return Object.keys(RIVALS).filter(name => spawnSync(name, ['-V']).error === undefined)
}

/** Starts one of {@link installedRivals} with files of its own in `folder`. Its system service is neither needed nor touched. */
export async function startRival(
  name: string,
  folder: string,
  question: BenchQuestion,
): Promise<BenchServer> {
  const own = mkdtempSync(join(folder, `${name}-`))
  write(own, 'shoal.zone', zoneFile())
  const port = await freePort()
  const [command = '', ...args] = RIVALS[name]!(own, port, question)
  const child = spawn(command, args, { stdio: 'ignore' })
  const server = serverOf(name, child, port)
  try {
    await mustAnswer(port, question)
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw new Error(`${name} does not answer as we do`, { cause: error })
  }
  return server
}

/** Those that `bin/shoal` runs the daemon with: small heaps, which make more work. */
function daemonFlags(): string[] {
  const script = readFileSync(join(import.meta.dirname, '../../bin/shoal'), 'utf8')
  return script.slice(script.lastIndexOf('exec "$node"')).match(/--\S+/g) ?? []
}

function serverOf(name: string, child: ChildProcess, port: number): BenchServer {
  return {
    name,
    port,
    cpuSeconds: () => processTree(child.pid!).flatMap(threadSeconds),
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      child.kill()
      await gone
    },
  }
}

/** Waits until the last name of the question is answered in full: then all are loaded. */
async function mustAnswer(port: number, question: BenchQuestion): Promise<void> {
  const [name = '', type = ''] = question.lines.at(-1)!.split(' ')
  const deadline = performance.now() + START_MS
  for (;;) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- again and again
      const got = await query(name, parseType(type)!, {
        address: ADDRESS,
        port,
        timeoutMs: 500,
      })
      const isWhole =
        got.answers.length === question.answers && got.additionals.length >= question.additionals
      if (isWhole) return
      if (performance.now() > deadline) {
        const { length } = got.additionals
        throw new Error(`${name} ${type}: ${got.answers.length} answers, ${length} additional`)
      }
    } catch (error) {
      if (performance.now() > deadline) throw error
    }
    // oxlint-disable-next-line no-await-in-loop -- it is still starting
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}

async function freePort(): Promise<number> {
  const socket = createSocket('udp4')
  socket.bind(0, ADDRESS)
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  return port
}

function write(folder: string, name: string, text: string): string {
  const file = join(folder, name)
  writeFileSync(file, text)
  return file
}

function processTree(pid: number): number[] {
  const parents = readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(name => [Number(name), Number(statOf(`/proc/${name}/stat`)[1])] as const)
  const tree = [pid]
  for (const one of tree) {
    for (const [child, parent] of parents) if (parent === one) tree.push(child)
  }
  return tree
}

function threadSeconds(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).map(thread => {
    const fields = statOf(`/proc/${pid}/task/${thread}/stat`)
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
  })
}

/** The fields of proc(5) from `state` on; none when the process has gone. */
function statOf(file: string): string[] {
  try {
    const text = readFileSync(file, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT' && code !== 'ESRCH') throw error // Before it was opened, or after.
    return []
  }
}
