import { setTimeout as sleep } from 'node:timers/promises'
import { query, type QueryOptions } from '../dns/query.ts'
import { recordData } from '../dns/record-data.ts'
import { rcodeName, TYPE, type DnsRecord } from '../dns/records.ts'
import type { Message } from '../dns/wire.ts'
import type { Zone } from '../dns/zone.ts'

/** A DNS server of the cluster. */
export interface VerifiedServer {
  /** Its node's name. */
  readonly node: string
  readonly address: string
  readonly port: number
}

/** What all servers said. */
export interface Verification {
  readonly servers: readonly {
    readonly node: string
    readonly server: string
    /** Answers that came, by UDP and TCP together. */
    readonly answers: number
  }[]
  /** Questions that each server was asked, over each transport. */
  readonly questions: number
  readonly differences: readonly Difference[]
}

/** An answer that is not what this node would say, or that did not come. */
export interface Difference {
  readonly node: string
  readonly server: string
  readonly transport: 'udp' | 'tcp'
  readonly name: string
  readonly type: string
  /** In words, on one line. */
  readonly problem: string
}

/** Knobs of {@link verifyDns}. */
export interface VerifyOptions {
  /** What this node would answer from. Read anew for each comparison. */
  readonly zone: Pick<Zone, 'find'>
  /** Asked for all addresses, services and names of addresses that they have. */
  readonly names: readonly string[]
  readonly servers: readonly VerifiedServer[]
  /** How long an answer may stay different before it counts: news takes a moment to be everywhere. @default 2000 */
  readonly settleMs?: number
  readonly ask?: (name: string, type: number, options: QueryOptions) => Promise<Message>
  readonly signal?: AbortSignal
}

/** Questions that one server has to answer at a time: few, because its clients come first. */
const AT_ONCE = 4
const AGAIN_MS = 250
/** A server that answers nothing so many times in a row is not asked on. */
const SILENCE_MAX = 3
const TYPES: ReadonlySet<string> = new Set(['A', 'AAAA', 'SRV', 'PTR'])

interface Question {
  readonly name: string
  readonly type: DnsRecord['type']
}

/**
 * Asks every server over the network, by UDP and by TCP, and compares what it says with what
 * this node would. An answer that differs is asked for again until it settles, because both
 * sides follow the cluster, each in its own time.
 */
export async function verifyDns(options: VerifyOptions): Promise<Verification> {
  const { servers } = options
  const questions = questionsOf(options)
  const runs = servers.flatMap(server =>
    (['udp', 'tcp'] as const).map(
      async transport => await verifyOne(server, transport, questions, options),
    ),
  )
  const results = await Promise.all(runs)
  return {
    questions: questions.length,
    servers: servers.map(server => ({
      node: server.node,
      server: textOf(server),
      answers: results
        .filter(({ node, at }) => node === server.node && at === textOf(server))
        .reduce((sum, { answers }) => sum + answers, 0),
    })),
    differences: results.flatMap(({ differences }) => differences),
  }
}

async function verifyOne(
  server: VerifiedServer,
  transport: 'udp' | 'tcp',
  questions: readonly Question[],
  options: VerifyOptions,
): Promise<{ node: string; at: string; answers: number; differences: Difference[] }> {
  const differences: Difference[] = []
  const queue = [...questions]
  let answers = 0
  let silence = 0

  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other, by so many workers
      const { problem, isSilent } = await askUntilSettled(server, transport, next, options)
      if (isSilent) silence++
      else [answers, silence] = [answers + 1, 0]
      if (problem === undefined) continue
      const { name, type } = next
      const [node, at] = [server.node, textOf(server)]
      differences.push({ node, server: at, transport, name, type, problem })
      if (silence >= SILENCE_MAX) queue.length = 0
    }
  }

  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return { node: server.node, at: textOf(server), answers, differences }
}

async function askUntilSettled(
  server: VerifiedServer,
  transport: 'udp' | 'tcp',
  question: Question,
  options: VerifyOptions,
): Promise<{ readonly problem?: string; readonly isSilent: boolean }> {
  const { ask = query, settleMs = 2_000, zone, signal } = options
  const { name, type } = question
  const untilMs = performance.now() + settleMs
  for (;;) {
    signal?.throwIfAborted()
    let problem: string | undefined
    try {
      const { address, port } = server
      const asked = { address, port, tcp: transport === 'tcp', ...(signal && { signal }) }
      // oxlint-disable-next-line no-await-in-loop -- each time anew
      const message = await ask(name, TYPE[type], asked)
      problem = compare(message, zone, question)
    } catch (error) {
      return { problem: error instanceof Error ? error.message : String(error), isSilent: true }
    }
    if (problem === undefined) return { isSilent: false }
    if (performance.now() >= untilMs) return { problem, isSilent: false }
    // oxlint-disable-next-line no-await-in-loop -- the wait is the point
    await sleep(AGAIN_MS, undefined, signal && { signal })
  }
}

/** What is wrong with an answer; nothing when it says what `zone` says now. */
function compare(
  { rcode, answers }: Message,
  zone: Pick<Zone, 'find'>,
  { name, type }: Question,
): string | undefined {
  const finding = zone.find(name)
  const status = finding?.exists === true ? 'NOERROR' : 'NXDOMAIN'
  if (rcodeName(rcode) !== status) return `says ${rcodeName(rcode)} where this node says ${status}`
  const wanted = new Set(
    (finding?.records ?? []).filter(record => record.type === type).map(recordData),
  )
  const told = new Set(answers.filter(record => record.type === type).map(recordData))
  const missing = [...wanted.difference(told)]
  const extra = [...told.difference(wanted)]
  const problems = [
    ...(missing.length > 0 ? [`lacks ${missing.join(', ')}`] : []),
    ...(extra.length > 0 ? [`has ${extra.join(', ')} too many`] : []),
  ]
  return problems.length === 0 ? undefined : problems.join('; ')
}

/** A name that has nothing to say now must be silent everywhere. */
function questionsOf({ zone, names }: VerifyOptions): Question[] {
  return [...new Set(names)].flatMap((name): Question[] => {
    const types = new Set((zone.find(name)?.records ?? []).map(({ type }) => type))
    const wanted = [...types].filter(type => TYPES.has(type))
    return wanted.length === 0 ? [{ name, type: 'A' }] : wanted.map(type => ({ name, type }))
  })
}

function textOf({ address, port }: VerifiedServer): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
