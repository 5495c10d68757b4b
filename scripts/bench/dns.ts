/** DNS: queries per CPU-second over real sockets with dnsperf, and what a change costs in a large zone. */

import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createAnswerer } from '../../src/dns/answer.ts'
import type { DnsApp } from '../../src/dns/dns-view.ts'
import { encodeQuery } from '../../src/dns/query.ts'
import { TYPE } from '../../src/dns/records.ts'
import { startDnsServer } from '../../src/dns/start-dns-server.ts'
import { createZone, type Zone } from '../../src/dns/zone.ts'
import { parseAppId, slotIdOf, taskIdOf } from '../../src/model/ids.ts'
import type { BenchRow } from './row.ts'

const SECONDS = 4

/** Measures the answer path, and the cost of changes. */
export async function benchDns(): Promise<BenchRow[]> {
  return [...benchChanges(), ...(await benchQueries())]
}

function benchChanges(): BenchRow[] {
  const size = '10,000 apps × 3 slots'
  const apps = Array.from({ length: 10_000 }, (_, index) => makeApp(index, 3))
  const before = memoryBytes()
  const zone = makeZone(apps)
  const answerer = createAnswerer(zone)
  const out = Buffer.alloc(1_232)
  for (let index = 0; index < apps.length; index++) {
    answerer.answer(encodeQuery(`_a${index}._tcp.shoal`, TYPE.SRV, 1_232), out, 'udp')
    answerer.answer(encodeQuery(`a${index}.shoal`, TYPE.A, 1_232), out, 'udp')
  }
  const memoryMB = (memoryBytes() - before) / 1e6
  const query = encodeQuery('_a77._tcp.shoal', TYPE.SRV, 1_232)
  const rounds = 1_000
  const started = performance.now()
  for (let round = 0; round < rounds; round++) {
    zone.update(makeApp(77, 3))
    answerer.answer(query, out, 'udp')
  }
  const updateMs = (performance.now() - started) / rounds
  return [
    {
      name: `memory, ${size}, every A and SRV asked`,
      value: memoryMB,
      unit: 'MB',
      target: { max: 100 },
    },
    {
      name: `update of one app and its answer, ${size}`,
      value: updateMs,
      unit: 'ms',
      target: { max: 20 },
    },
  ]
}

async function benchQueries(): Promise<BenchRow[]> {
  if (spawnSync('dnsperf', ['-h']).error !== undefined) {
    process.stderr.write('dnsperf is not installed: queries are not measured (Debian: dnsperf)\n')
    return []
  }
  const names = Array.from({ length: 1_000 }, (_, index) => index)
  const zone = makeZone([
    ...names.map(index => makeApp(index, 10)),
    ...names.map(index => makeApp(10_000 + index, 1)),
  ])
  const folder = await mkdtemp(join(tmpdir(), 'shoal-bench-dns-'))
  const server = await startDnsServer({ addresses: ['127.0.0.1'], port: 0, names: zone })
  const measure = async (name: string, lines: string[], min: number): Promise<BenchRow> => {
    const file = join(folder, 'queries')
    await writeFile(file, `${lines.join('\n')}\n`)
    await runDnsperf(server.port, file, 1) // Warm: every answer encoded, the path compiled.
    const cpuBefore = process.cpuUsage()
    const asked = await runDnsperf(server.port, file, SECONDS)
    const { user, system } = process.cpuUsage(cpuBefore)
    const value = asked / ((user + system) / 1e6)
    return {
      name,
      value,
      unit: 'queries/CPU-s',
      target: { min },
      note: 'one socket, client on the same machine',
    }
  }
  try {
    return [
      await measure(
        'one A',
        names.map(index => `a${10_000 + index}.shoal A`),
        80_000,
      ),
      await measure(
        'ten SRV with ten A',
        names.map(index => `_a${index}._tcp.shoal SRV`),
        75_000,
      ),
    ]
  } finally {
    await server.close()
    await rm(folder, { recursive: true })
  }
}

/** How many queries were answered. */
async function runDnsperf(port: number, file: string, seconds: number): Promise<number> {
  const load = ['-c', '8', '-q', '200', '-l', String(seconds)]
  const to = ['-s', '127.0.0.1', '-p', String(port), '-d', file]
  const { stdout } = await promisify(execFile)('dnsperf', [...to, ...load])
  const completed = /Queries completed:\s+(\d+)/.exec(stdout)?.[1]
  if (completed === undefined) throw new Error(`dnsperf printed no total: ${stdout.slice(-300)}`)
  return Number(completed)
}

function makeZone(apps: readonly DnsApp[]): Zone {
  const nodes = [{ name: 'n1', addresses: ['10.0.0.1'], alive: true, zone: '', port: 7440 }]
  return createZone({
    domain: 'shoal',
    mesos: { domain: 'mesos', rule: 'rfc1123', apiPort: 8080 },
    ttlSeconds: 5,
    serial: 1,
    self: { name: 'n1' },
    apps,
    nodes,
  })
}

function makeApp(index: number, slots: number): DnsApp {
  const id = parseAppId(`/a${index}`)
  if (id === undefined) throw new RangeError(`no app id: ${index}`)
  const tasks = Array.from({ length: slots }, (_, slot) => ({
    slot: slotIdOf(id, slot),
    suffix: String(slot),
    task: taskIdOf(slotIdOf(id, slot), 'k3f9x1'),
    addresses: [`10.${slot}.${index >> 8}.${index & 255}`],
    ports: [{ name: 'http', protocol: 'tcp' as const, containerPort: 80, hostPort: 31_000 + slot }],
    serving: true,
    running: true,
    node: 'n1',
    zone: '',
    weight: 100,
    note: 'serving',
  }))
  return { id, aliases: [], tasks, wanted: slots, missing: [] }
}

function memoryBytes(): number {
  globalThis.gc?.()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
