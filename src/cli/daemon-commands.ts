import type { Command } from 'commander'
import type { NodeChoices } from '../api/start-daemon.ts'
import { gather, parseCount, parsePair, parsePortOrNone } from './option-values.ts'
import { note, say } from './print.ts'

interface UpFlags {
  readonly join?: string
  readonly name?: string
  readonly advertise?: string[]
  readonly port?: number
  readonly apiPort?: number
  readonly dnsPort?: number
  readonly dnsTtl?: number
  readonly dnsForward?: string[]
  readonly dnsAllow?: string[]
  readonly dnsTransfer?: string[]
  readonly dnsWorkers?: number
  readonly dnsRateLimit?: number
  readonly mesosDomain?: string
  readonly mesosRfc952?: boolean
  readonly discoveryPort?: number
  readonly docker?: string
  readonly label?: Record<string, string>
  readonly mdns: boolean
  readonly dht?: string[] | true
}

/** Adds the commands that are a daemon, or prepare one. */
export function addDaemonCommands(program: Command): void {
  nodeFlags(program.command('up'))
    .description('run a daemon: the first makes a cluster, the others join with a token')
    .option('--join <token>', 'join the cluster of a token (from `shoal token create`)')
    .addHelpText(
      'after',
      '\nExamples:\n  shoal up --label zone=cellar\n  shoal up --join shoal1-… --advertise 192.0.2.7',
    )
    .addHelpText('after', '\nIt runs until SIGTERM or Ctrl-C, and leaves its tasks running then.')
    .action(async (flags: UpFlags, command: Command) => {
      const { up } = await import('./up.ts')
      await up(choicesOf(flags, command))
    })

  nodeFlags(program.command('init'))
    .description('make a new cluster in the data folder, without starting a daemon')
    .action(async (flags: UpFlags, command: Command) => {
      const { init } = await import('./up.ts')
      const { cluster, isNew } = await init(choicesOf(flags, command))
      if (isNew) say(cluster)
      else note(`this folder has the cluster ${cluster} already: nothing was changed`)
    })
}

function nodeFlags(command: Command): Command {
  return command
    .option('--name <name>', 'the name of this node (default: the name of the host)')
    .option(
      '--advertise <ip>',
      'the address that others reach this machine at (default: its first); repeat for more that clients reach it at, such as IPv6',
      gather,
    )
    .option('--port <port>', 'gossip (TCP) and liveness (UDP) (default: 7440)', parseCount)
    .option('--api-port <port>', 'the HTTP API on 127.0.0.1 (default: 8080)', parseCount)
    .option('--dns-port <port>', 'DNS (default: 53, or 7453 where 53 may not be bound)', parseCount)
    .option('--dns-ttl <seconds>', 'how long clients may keep an answer (default: 1)', parseCount)
    .option(
      '--dns-forward <resolver>',
      'whom to ask about other domains: IP, IP:port, DOMAIN=IP or "none"; repeat for more (default: those of /etc/resolv.conf)',
      gather,
    )
    .option(
      '--dns-allow <network>',
      'who may ask for other domains, such as 10.0.0.0/8; repeat for more (default: private networks)',
      gather,
    )
    .option(
      '--dns-transfer <network>',
      'who may read whole zones (AXFR) beside this machine; repeat for more',
      gather,
    )
    .option('--dns-workers <number>', 'threads that answer DNS (default: 1)', parseCount)
    .option(
      '--dns-rate-limit <number>',
      'DNS answers to one network of strangers each second, 0 for no limit (default: 200)',
      parseCount,
    )
    .option('--mesos-domain <name>', 'the domain of Mesos-DNS’s names, or "none" (default: mesos)')
    .option('--mesos-rfc952', 'cut labels there as Mesos-DNS does with enforceRFC952')
    .option(
      '--discovery-port <port>',
      'HTTP discovery as of Mesos-DNS (8123 there) and for Prometheus (default: none)',
      parsePortOrNone,
    )
    .option('--docker <socket>', 'the Docker engine, or "none" (default: /var/run/docker.sock)')
    .option('--label <k=v>', 'a label for constraints; repeat for more', parsePair)
    .option('--no-mdns', 'do not look for nodes on the local network')
    .option(
      '--dht [bootstrap...]',
      'find nodes by a DHT; public, unless host:port of first nodes are given',
    )
}

function choicesOf(flags: UpFlags, command: Command): NodeChoices {
  const { data } = command.optsWithGlobals<{ data?: string }>()
  const { label, dht, mdns, dnsTtl, mesosRfc952, advertise = [], ...rest } = flags
  const [first, ...also] = advertise
  return {
    ...rest,
    ...(first !== undefined && { advertise: first, advertiseAlso: also }),
    ...(label && { labels: label }),
    ...(dnsTtl !== undefined && { dnsTtlSeconds: dnsTtl }),
    ...(mesosRfc952 === true && { mesosLabels: 'rfc952' as const }),
    // Without the flag the default decides, which is no on loopback addresses.
    ...(mdns ? {} : { mdns }),
    ...(data !== undefined && { dataDir: data }),
    ...(dht !== undefined && { dht: { bootstrap: dht === true ? [] : dht } }),
  }
}
