import type { Command } from 'commander'
import type { NameConflictLine, ResolveAnswer, VerifyAnswer } from '../api/shapes.ts'
import { Client, type Target } from './client.ts'
import { showNameConflicts, showResolved, showVerified } from './listings.ts'
import { note, sayJson } from './print.ts'

interface JsonFlag {
  readonly json?: boolean
}

const JSON_HELP = 'print JSON, for programs'

/** Adds the commands about names in DNS. */
export function addDnsCommands(program: Command): void {
  const client = (): Client => new Client(program.opts<Target>())

  program
    .command('resolve')
    .description(
      'ask this node’s DNS server, as a client would, and say where each record comes from',
    )
    .argument('<name>', 'such as web, _web._tcp, 0.web, web.shop.shoal or an address')
    .argument(
      '[type]',
      'A, AAAA, SRV, PTR, TXT, … (default: SRV for services, PTR for addresses, else A)',
    )
    .option('--json', JSON_HELP)
    .addHelpText(
      'after',
      '\nExits with 1 when there is no such record.\n\nExamples:\n  shoal resolve _web._tcp\n  shoal resolve 0.web.shop\n  shoal resolve near.web\n  shoal resolve why.web\n  shoal resolve web.marathon.mesos\n  shoal resolve 10.77.0.11',
    )
    .action(async (name: string, type: string | undefined, flags: JsonFlag) => {
      const answer = await client().get<ResolveAnswer>('/v1/resolve', { name, type })
      if (flags.json === true) sayJson(answer)
      else showResolved(answer)
      if (answer.records.every(({ section }) => section !== 'answer')) process.exitCode = 1
    })

  const dns = program.command('dns').description('check the DNS of the whole cluster')
  dns
    .command('verify')
    .description('ask every node’s DNS server, and compare with what this node would answer')
    .argument('[app]', 'ask about this app alone')
    .option('--json', JSON_HELP)
    .addHelpText(
      'after',
      '\nPrints a line for each difference, and exits with 1 when there is one.\n\nExamples:\n  shoal dns verify\n  shoal dns verify shop/web',
    )
    .action(async (app: string | undefined, flags: JsonFlag) => {
      const answer = await client().get<VerifyAnswer>('/v1/dns/verify', { app })
      if (flags.json === true) sayJson(answer)
      else showVerified(answer)
      if (answer.differences.length > 0) process.exitCode = 1
    })
  dns
    .command('conflicts')
    .description('list the names that two things claim, and who got them')
    .option('--json', JSON_HELP)
    .action(async (flags: JsonFlag) => {
      const conflicts = await client().get<NameConflictLine[]>('/v1/dns/conflicts')
      if (flags.json === true) sayJson(conflicts)
      else if (conflicts.length === 0) note('no name is claimed twice')
      else showNameConflicts(conflicts)
    })
}
