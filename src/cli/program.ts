import { Command, Option } from 'commander'
import { VERSION } from '../api/version.ts'
import { addAppCommands } from './app-commands.ts'
import { addClusterCommands } from './cluster-commands.ts'
import { addDaemonCommands } from './daemon-commands.ts'
import { addDnsCommands } from './dns-commands.ts'
import { addNodeCommands } from './node-commands.ts'

const EXAMPLES = `
Examples:
  shoal up                                start a daemon, and a new cluster with it
  shoal token create                      print a token for the next machine
  shoal up --join TOKEN                   start a daemon there, in the same cluster
  shoal apply -f app.json --wait          run what a file says, and wait until it serves
  shoal ps                                see where everything runs
  shoal why web                           see why it runs there, or why it does not
  shoal resolve _web._tcp                 ask DNS as a client would

SHOAL_DATA or --data names the daemon of this machine to talk to, --host one elsewhere.`

/** Makes the whole command line. */
export function createProgram(): Command {
  const program = new Command('shoal')
    .version(VERSION)
    .description('A container orchestrator without a master: the same daemon on every machine.')
    .addOption(
      new Option('--data <dir>', 'the folder of the daemon on this machine').env('SHOAL_DATA'),
    )
    .option('--host <url>', 'the API of a daemon, such as http://localhost:8080')
    .addHelpText('after', EXAMPLES)
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(usageLine(text)) })
  addDaemonCommands(program)
  addAppCommands(program)
  addClusterCommands(program)
  addDnsCommands(program)
  addNodeCommands(program)
  return program
}

/** Wrong usage as one line, like every other error: what commander says in two, after `error:`. */
function usageLine(text: string): string {
  const [problem = '', ...more] = text
    .trim()
    .replace(/^error: /, '')
    .split('\n')
  return `shoal: ${[problem, ...more].join(' ')}: see \`shoal --help\` or that of the command\n`
}
