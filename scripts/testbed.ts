/**
 * Real hosts on this one Linux machine, by hand: see USAGE. Needs root. The beds that tests make are
 * theirs to remove; those made here stay until `down`.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { listBeds } from './testbed/bed-state.ts'
import { formCluster } from './testbed/form-cluster.ts'
import { enter } from './testbed/network.ts'
import { isRunning } from './testbed/process-table.ts'
import { missingForTestbed } from './testbed/requirements.ts'
import { TOOL_PATH } from './testbed/run-command.ts'
import type { TestHost } from './testbed/test-host.ts'
import { removeAbandoned, Testbed } from './testbed/testbed.ts'

const USAGE = `Usage: npm run testbed -- COMMAND [--bed ID]

  up N [--no-docker] [--no-daemon]  make N hosts, each with Docker and a Shoal daemon, as one cluster
  down [--all]                      remove the bed (or all), and those that crashed tests left
  status [--json]                   list beds, hosts, engines, daemons and faults
  exec H -- CMD…                    run a command on host H
  shoal H -- ARGS…                  run Shoal's command line on host H
  cable pull|plug H                 pull or plug its network cable
  freeze H | thaw H                 stop its daemon in mid-air, with the cable pulled; let it go on
  partition 1,2 3                   split into groups
  oneway A B                        B no longer hears A
  loss H PERCENT                    lose packets to and from H
  heal                              end partition, one-way cuts and loss
  docker kill|stop|start H          its Docker engine
  daemon kill|stop|start H          its Shoal daemon`

class UsageError extends Error {}

try {
  process.exitCode = await main()
} catch (error) {
  const usage = error instanceof UsageError || errorCode(error).startsWith('ERR_PARSE_ARGS')
  process.stderr.write(`testbed: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = usage ? 2 : 1
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      all: { type: 'boolean', default: false },
      bed: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
      json: { type: 'boolean', default: false },
      'no-daemon': { type: 'boolean', default: false },
      'no-docker': { type: 'boolean', default: false },
    },
  })
  const [command, ...rest] = positionals
  if (values.help || command === undefined) {
    print(USAGE)
    return values.help ? 0 : 2
  }
  if (command === 'status') return status(values.json)
  if (command === 'up') {
    return await up(readNumber(rest[0]), {
      docker: !values['no-docker'],
      daemon: !values['no-daemon'],
    })
  }
  if (command === 'down') return await down(values.bed, values.all)
  const bed = openBed(values.bed)
  if (command === 'exec' || command === 'shoal') return await run(bed, command, rest)
  await change(bed, command, rest)
  return 0
}

async function up(
  hosts: number,
  { docker, daemon }: { readonly docker: boolean; readonly daemon: boolean },
): Promise<number> {
  const unavailable = missingForTestbed({ docker })
  if (unavailable !== undefined) throw new Error(unavailable)
  await removeAbandoned()
  const bed = await Testbed.create({ hosts, docker, keep: true })
  if (docker) await Promise.all(bed.hosts.map(async host => await host.loadImage()))
  if (daemon) await formCluster(bed.hosts)
  return status(false)
}

async function down(id: string | undefined, all: boolean): Promise<number> {
  await removeAbandoned()
  const beds = listBeds().filter(({ owner }) => owner === undefined)
  const doomed = all || (id === undefined && beds.length === 1) ? beds.map(bed => bed.id) : []
  if (doomed.length === 0 && beds.length > 0) doomed.push(openBed(id).id)
  for (const one of doomed) await Testbed.open(one)?.remove()
  print(doomed.length === 0 ? 'No test bed is up.' : `Removed test bed ${doomed.join(', ')}.`)
  return 0
}

function status(json: boolean): number {
  const beds = listBeds().map(({ id, owner, faults, engines, daemons }) => ({
    id,
    madeBy: owner === undefined ? 'hand' : `process ${owner.pid}`,
    faults,
    hosts: (Testbed.open(id)?.hosts ?? []).map(host => ({
      number: host.number,
      address: host.address,
      docker: stateOf(engines[host.number]),
      daemon: stateOf(daemons[host.number]),
      dockerSocket: host.dockerSocket,
      data: host.dataDir,
    })),
  }))
  const lines = beds.flatMap(({ id, madeBy, faults, hosts }) => [
    `Bed ${id}, made by ${madeBy}; faults: ${JSON.stringify(faults)}`,
    ...hosts.map(
      ({ number, address, docker, daemon, data }) =>
        `  host ${number}  ${address}  docker ${docker}  daemon ${daemon}  SHOAL_DATA=${data}`,
    ),
  ])
  if (json) print(JSON.stringify(beds, null, 2))
  else print(lines.length === 0 ? 'No test bed is up.' : lines.join('\n'))
  return 0
}

function stateOf(ref: Parameters<typeof isRunning>[0] | undefined): string {
  if (ref === undefined) return 'none'
  return isRunning(ref) ? `up (pid ${ref.pid})` : 'down'
}

async function run(
  bed: Testbed,
  command: 'exec' | 'shoal',
  [number, ...argv]: readonly string[],
): Promise<number> {
  const host = bed.host(readNumber(number))
  const program = command === 'shoal' ? [host.shoalPath, ...argv] : argv
  if (program.length === 0) throw new UsageError('exec needs a command: exec H -- CMD')
  const [file = '', ...args] = enter(host.namespace, program)
  const docker =
    host.dockerSocket === undefined ? {} : { DOCKER_HOST: `unix://${host.dockerSocket}` }
  const env = { ...process.env, ...docker, PATH: TOOL_PATH, SHOAL_DATA: host.dataDir }
  const child = spawn(file, args, { stdio: 'inherit', env })
  const [code] = (await once(child, 'exit')) as [number | null]
  return code ?? 1
}

async function change(bed: Testbed, command: string, rest: readonly string[]): Promise<void> {
  const [first = '', second] = rest
  const host = (text: string | undefined): TestHost => bed.host(readNumber(text))
  switch (`${command} ${['cable', 'docker', 'daemon'].includes(command) ? first : ''}`.trim()) {
    case 'cable pull':
      return await bed.pullCable(host(second))
    case 'cable plug':
      return await bed.plugCable(host(second))
    case 'freeze':
      return await bed.freeze(host(first))
    case 'thaw':
      return await bed.thaw(host(first))
    case 'partition':
      return await bed.partition(rest.map(group => group.split(',').map(host)))
    case 'oneway':
      return await bed.oneWay(host(first), host(second))
    case 'loss':
      return await bed.loss(host(first), Number(second))
    case 'heal':
      return await bed.heal()
    case 'docker kill':
      return await bed.killDockerd(host(second))
    case 'docker stop':
      return await bed.stopDockerd(host(second))
    case 'docker start':
      return await bed.startDockerd(host(second))
    case 'daemon kill':
      return await host(second).killDaemon('SIGKILL')
    case 'daemon stop':
      return await host(second).killDaemon('SIGTERM')
    case 'daemon start':
      return host(second).startDaemon()
    default:
      throw new UsageError(`No command "${[command, ...rest].join(' ')}": see --help`)
  }
}

function openBed(id: string | undefined): Testbed {
  const beds = listBeds()
  const wanted = id === undefined ? beds[0]?.id : readNumber(id, 0)
  if (id === undefined && beds.length > 1) {
    throw new UsageError(`Say which bed: --bed ${beds.map(bed => bed.id).join(' or --bed ')}`)
  }
  const bed = wanted === undefined ? undefined : Testbed.open(wanted)
  if (bed === undefined)
    throw new Error('No such test bed: make one with `npm run testbed -- up 3`')
  return bed
}

function readNumber(text: string | undefined, least = 1): number {
  const number = Number(text)
  if (text === undefined || !Number.isInteger(number) || number < least) {
    throw new UsageError(`Expected a whole number >= ${least}, got ${text ?? 'nothing'}`)
  }
  return number
}

function errorCode(error: unknown): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? ''
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
