import type { Command } from 'commander'
import type { EditAnswer, NodeAnswer, NodeLine, SettingLine } from '../api/shapes.ts'
import { Client, UsageError, type Target } from './client.ts'
import { showStored } from './listings.ts'
import { showNode, showNodes, showSettings } from './node-listings.ts'
import { parseCount } from './option-values.ts'
import { say, sayJson } from './print.ts'
import { waitUntilDrained } from './wait-until-drained.ts'

interface JsonFlag {
  readonly json?: boolean
}

const JSON_HELP = 'print JSON, for programs'
const NAME_HELP = 'its name or its id'

/** Adds the commands about nodes, and about the settings of the cluster. */
export function addNodeCommands(program: Command): void {
  const client = (): Client => new Client(program.opts<Target>())
  const node = program
    .command('node')
    .description('see the nodes, say what they may run, and remove lost ones')

  node
    .command('ls')
    .description('list the admitted nodes; * is the one that answers')
    .option('--json', JSON_HELP)
    .action(async (flags: JsonFlag) => {
      const nodes = await client().get<NodeLine[]>('/v1/nodes')
      if (flags.json === true) sayJson(nodes)
      else showNodes(nodes, Date.now())
    })

  node
    .command('inspect')
    .description('show all about a node: its labels, its room, its tasks and where they go')
    .argument('<name>', NAME_HELP)
    .option('--json', JSON_HELP)
    .action(async (name: string, flags: JsonFlag) => {
      const answer = await client().get<NodeAnswer>('/v1/node', { name })
      if (flags.json === true) sayJson(answer)
      else showNode(answer, Date.now())
    })

  node
    .command('label')
    .description('set and unset labels of a node, which count before what it says of itself')
    .argument('<name>', NAME_HELP)
    .argument('<labels...>', 'key=value to set, key- to unset')
    .option('--json', JSON_HELP)
    .addHelpText('after', '\nExample:\n  shoal node label n1 zone=eu-1 disk-')
    .action(async (name: string, labels: string[], flags: JsonFlag) => {
      const { set, unset } = parseLabels(labels)
      const answer = await client().post<EditAnswer>('/v1/node/labels', { name, set, unset })
      if (flags.json === true) return sayJson(answer)
      const parts = [
        ...Object.entries(set).map(([key, value]) => `${key}=${value}`),
        ...unset.map(key => `no ${key}`),
      ]
      say(`${name} ${answer.changed ? 'is labelled' : 'was labelled already'}: ${parts.join(', ')}`)
      showStored(answer.stored)
    })

  async function setMode(
    name: string,
    mode: NodeLine['mode'],
    text: string,
    flags: JsonFlag,
  ): Promise<void> {
    const answer = await client().post<EditAnswer>('/v1/node/mode', { name, mode })
    if (flags.json === true) return sayJson(answer)
    say(answer.changed ? `${name} ${text}` : `${name} is ${mode} already`)
    showStored(answer.stored)
  }

  node
    .command('cordon')
    .description('let a node keep what it runs, and give it nothing new')
    .argument('<name>', NAME_HELP)
    .option('--json', JSON_HELP)
    .action(async (name: string, flags: JsonFlag) => {
      await setMode(name, 'cordoned', 'keeps what it runs, and takes nothing new', flags)
    })

  node
    .command('drain')
    .description('hand the tasks of a node over to others, and give it nothing new')
    .argument('<name>', NAME_HELP)
    .option('--wait', 'wait until nothing runs on it any more')
    .option('--timeout <seconds>', 'how long to wait', parseCount, 300)
    .option('--json', JSON_HELP)
    .addHelpText(
      'after',
      '\nA slot that no other node can run ends. `shoal node uncordon` takes it back.\n\nExample:\n  shoal node drain n1 --wait',
    )
    .action(async (name: string, flags: JsonFlag & { wait?: boolean; timeout: number }) => {
      await setMode(name, 'drained', 'hands its tasks over', flags)
      if (flags.wait === true) await waitUntilDrained(client(), name, flags.timeout * 1000)
    })

  node
    .command('uncordon')
    .description('let a node that was cordoned or drained take work again')
    .argument('<name>', NAME_HELP)
    .option('--json', JSON_HELP)
    .action(async (name: string, flags: JsonFlag) => {
      await setMode(name, 'active', 'takes work again', flags)
    })

  node
    .command('rm')
    .description('take a machine that is lost for good off the list; its name is free again')
    .argument('<name>', NAME_HELP)
    .option('--json', JSON_HELP)
    .action(async (name: string, flags: JsonFlag) => {
      const answer = await client().delete<EditAnswer>('/v1/node', { name })
      if (flags.json === true) return sayJson(answer)
      say(`${name} is admitted no more: should it come back, it must join again`)
      showStored(answer.stored)
    })

  program
    .command('settings')
    .description('list or change what is set for the whole cluster')
    .argument('[setting=value...]', 'a number, or default')
    .option('--json', JSON_HELP)
    .addHelpText(
      'after',
      '\nExamples:\n  shoal settings\n  shoal settings moveBudgetPerMinute=30\n  shoal settings moveBudgetPerMinute=default',
    )
    .action(async (changes: string[], flags: JsonFlag) => {
      if (changes.length === 0) {
        const settings = await client().get<SettingLine[]>('/v1/settings')
        if (flags.json === true) sayJson(settings)
        else showSettings(settings)
        return
      }
      const set = parseSettings(changes)
      const answer = await client().post<EditAnswer>('/v1/settings', { set })
      if (flags.json === true) return sayJson(answer)
      const texts = Object.entries(set).map(([name, value]) => `${name}=${value}`)
      say(`${texts.join(', ')}${answer.changed ? '' : ', as before'}`)
      showStored(answer.stored)
    })
}

function parseLabels(texts: readonly string[]): { set: Record<string, string>; unset: string[] } {
  const set: [string, string][] = []
  const unset: string[] = []
  for (const text of texts) {
    const [, key, value] = /^([^=]+)=(.*)$/s.exec(text) ?? []
    if (key !== undefined && value !== undefined) set.push([key, value])
    else if (/^[^=]+-$/.test(text)) unset.push(text.slice(0, -1))
    else throw new UsageError(`label takes KEY=VALUE to set and KEY- to unset, got ${text}`)
  }
  return { set: Object.fromEntries(set), unset }
}

function parseSettings(texts: readonly string[]): Record<string, number | 'default'> {
  return Object.fromEntries(
    texts.map((text): [string, number | 'default'] => {
      const [, name, value] = /^([A-Za-z]+)=(default|\d{1,9})$/.exec(text) ?? []
      if (name === undefined || value === undefined) {
        throw new UsageError(
          `settings takes SETTING=NUMBER or SETTING=default, such as moveBudgetPerMinute=30, got ${text}`,
        )
      }
      return [name, value === 'default' ? value : Number(value)]
    }),
  )
}
