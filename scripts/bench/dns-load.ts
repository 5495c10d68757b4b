/**
 * Asks servers with dnsperf.
 *
 * @module
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, closeSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BenchQuestion } from './dns-names.ts'
import type { BenchServer } from './dns-servers.ts'

/** How hard a server is asked. */
export interface Load {
  readonly question: BenchQuestion
  readonly seconds: number
  /** Client sockets. @default 8 */
  readonly clients?: number
  /** Queries in a second; as many as are answered, without it. */
  readonly rate?: number
}

/** What a server did under load. */
export interface LoadResult {
  readonly perSecond: number
  /** By the processor time of the whole server. */
  readonly perCpuSecond: number
  /** As many as the busiest thread would have answered in a second, had it had a processor for itself. */
  readonly perBusiestSecond: number
  readonly lost: number
}

/** Asks `server`, with files in `folder`. */
export async function load(
  server: BenchServer,
  folder: string,
  options: Load,
): Promise<LoadResult> {
  const before = server.cpuSeconds()
  const text = await runDnsperf(server, folder, options)
  const used = server.cpuSeconds().map((seconds, at) => seconds - (before[at] ?? 0))
  const completed = numberAfter(text, 'Queries completed:')
  return {
    perSecond: completed / numberAfter(text, 'Run time (s):'),
    perCpuSecond: completed / used.reduce((sum, seconds) => sum + seconds, 0),
    perBusiestSecond: completed / Math.max(...used),
    lost: numberAfter(text, 'Queries lost:'),
  }
}

/** The latency that so many of a hundred queries had at most, in ms, as the client saw it. Lost ones count as the worst. */
export async function latencyMs(
  server: BenchServer,
  folder: string,
  options: Load & { readonly rate: number },
  percent = 99,
): Promise<number> {
  const text = await runDnsperf(server, folder, options, ['-v'])
  const all = Array.from(text.matchAll(/^> \S+ \S+ \S+ ([\d.]+)$/gm), ([, seconds]) =>
    Number(seconds),
  )
  const lost = numberAfter(text, 'Queries lost:')
  all.push(...Array<number>(lost).fill(Infinity))
  all.sort((a, b) => a - b)
  const at = all[Math.ceil((all.length * percent) / 100) - 1]
  if (at === undefined) throw new Error(`dnsperf printed no latency: ${text.slice(-300)}`)
  return at * 1000
}

async function runDnsperf(
  { port }: BenchServer,
  folder: string,
  { question, seconds, clients = 8, rate }: Load,
  flags: readonly string[] = [],
): Promise<string> {
  const questions = join(folder, 'questions')
  writeFileSync(questions, `${question.lines.join('\n')}\n`)
  // Into a file: a pipe would be read by a process that takes time from the server.
  const output = join(folder, 'dnsperf.out')
  const file = openSync(output, 'w')
  const to = ['-s', '127.0.0.1', '-p', String(port), '-d', questions, ...flags]
  const how = ['-c', String(clients), '-q', '200', '-l', String(seconds), '-t', '2']
  if (question.edns) how.push('-e')
  if (rate !== undefined) how.push('-Q', String(Math.round(rate)))
  const child = spawn('dnsperf', [...to, ...how], { stdio: ['ignore', file, 'inherit'] })
  const [code] = (await once(child, 'exit')) as [number | null]
  closeSync(file)
  if (code !== 0) throw new Error(`dnsperf ended with ${code}`)
  return readFileSync(output, 'utf8')
}

function numberAfter(text: string, label: string): number {
  const at = text.lastIndexOf(label)
  const value = Number.parseFloat(text.slice(at + label.length))
  if (at < 0 || Number.isNaN(value)) {
    throw new Error(`dnsperf printed no "${label}": ${text.slice(-300)}`)
  }
  return value
}
