import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import type { EventLine, StatusAnswer } from '../api/shapes.ts'
import { Client, CliError, type Target } from './client.ts'
import { showEvent } from './listings.ts'
import { note, say, sayJson } from './print.ts'
import { showStatus } from './status-listing.ts'

interface JsonFlag {
  readonly json?: boolean
}

const JSON_HELP = 'print JSON, for programs'

/** How long `shoal join` waits for the daemon to come back in the other cluster. */
const JOIN_TIMEOUT_MS = 40_000

/** Adds the commands about the cluster as a whole. */
export function addClusterCommands(program: Command): void {
  const client = (): Client => new Client(program.opts<Target>())

  program
    .command('status')
    .description('say what this node sees of the cluster')
    .option('--json', JSON_HELP)
    .action(async (flags: JsonFlag) => {
      const status = await client().get<StatusAnswer>('/v1/status')
      if (flags.json === true) sayJson(status)
      else showStatus(status, Date.now())
    })

  program
    .command('token')
    .description('make tokens that let machines in')
    .command('create')
    .description('print a token for `shoal up --join`; whoever has it can join until it expires')
    .option('--ttl <duration>', 'how long it is good for', '24h')
    .option('--no-addresses', 'name no node in it: mDNS or a DHT (--dht) must find the cluster')
    .option('--json', JSON_HELP)
    .addHelpText(
      'after',
      '\nExamples:\n  shoal token create --ttl 1h\n  ssh other shoal up --join "$(shoal token create)"',
    )
    .action(async (flags: JsonFlag & { ttl: string; addresses: boolean }) => {
      const answer = await client().post<{ token: string; expiresAtMs: number }>('/v1/token', {
        ttl: flags.ttl,
        addresses: flags.addresses,
      })
      if (flags.json === true) sayJson(answer)
      else say(answer.token)
    })

  program
    .command('join')
    .description('take the running daemon of this machine over to the cluster of a token')
    .argument('<token>')
    .option('--json', JSON_HELP)
    .action(async (token: string, flags: JsonFlag) => {
      const { cluster } = await client().post<{ cluster: string }>('/v1/join', { token })
      const status = await waitForCluster(client(), cluster)
      if (flags.json === true) sayJson(status)
      else say(`joined ${cluster} as ${status.name}: ${status.nodes.admitted} nodes`)
    })

  program
    .command('leave')
    .description('hand the tasks of this node over, leave the cluster for good, and end the daemon')
    .action(async () => {
      note('leaving: waiting for others to take the tasks over')
      await client().post('/v1/leave')
      say('left the cluster')
    })

  program
    .command('events')
    .description('list what happened in the cluster, as this node saw it')
    .option('-f, --follow', 'go on with what happens')
    .option('--json', JSON_HELP)
    .action(async (flags: JsonFlag & { follow?: boolean }) => {
      if (flags.follow === true) {
        for await (const event of client().lines<EventLine>('/v1/events', { follow: 'true' })) {
          if (flags.json === true) say(JSON.stringify(event))
          else showEvent(event)
        }
        return
      }
      const events = await client().get<EventLine[]>('/v1/events')
      if (flags.json === true) sayJson(events)
      else for (const event of events) showEvent(event)
    })
}

async function waitForCluster(client: Client, cluster: string): Promise<StatusAnswer> {
  const untilMs = performance.now() + JOIN_TIMEOUT_MS
  let wasAway = false
  for (;;) {
    await sleep(250)
    try {
      const status = await client.get<StatusAnswer>('/v1/status')
      if (status.cluster === cluster) return status
      if (wasAway)
        throw new CliError(
          'joining failed: the daemon is back in its old cluster, and its log says why',
        )
    } catch (error) {
      if (wasAway && error instanceof CliError && error.message.startsWith('joining failed'))
        throw error
      wasAway = true
    }
    if (performance.now() > untilMs) {
      throw new CliError(
        `the daemon is not in the cluster ${cluster} after ${JOIN_TIMEOUT_MS / 1000} s: see its log`,
      )
    }
  }
}
