import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import type {
  AppAnswer,
  AppLine,
  ApplyAnswer,
  ApplyRequest,
  EditAnswer,
  LogLine,
  StatusAnswer,
  TaskLine,
  WhyAnswer,
} from '../api/shapes.ts'
import { formatProblem } from '../model/problem.ts'
import { Client, CliError, UsageError, type Target } from './client.ts'
import { showApp, showApps, showTasks, showWhy, showStored } from './listings.ts'
import { showElsewhere } from './status-listing.ts'
import { parseCount, parsePair } from './option-values.ts'
import { count, note, say, sayJson } from './print.ts'
import { waitUntilServing } from './wait-until-serving.ts'

interface JsonFlag {
  readonly json?: boolean
}

interface ApplyFlags extends JsonFlag {
  readonly file: string[]
  readonly dryRun?: boolean
  readonly wait?: boolean
  readonly timeout: number
  readonly message?: string
}

interface RunFlags extends JsonFlag {
  readonly name?: string
  readonly instances?: number
  readonly port?: string[]
  readonly env?: Record<string, string>
  readonly cpus?: string
  readonly mem?: string
  readonly wait?: boolean
  readonly timeout: number
}

const JSON_HELP = 'print JSON, for programs'

/** Adds the commands about apps. */
export function addAppCommands(program: Command): void {
  const client = (): Client => new Client(program.opts<Target>())

  program
    .command('apply')
    .description('make the cluster run what files say: Shoal, Marathon or Kubernetes, JSON or YAML')
    .requiredOption('-f, --file <file...>', 'the files; - is standard input')
    .option('--dry-run', 'show the apps that would result, and change nothing')
    .option('--wait', 'wait until every slot serves')
    .option('--timeout <seconds>', 'how long to wait', parseCount, 300)
    .option('--message <text>', 'why, for the history')
    .option('--json', JSON_HELP)
    .addHelpText(
      'after',
      '\nExamples:\n  shoal apply -f hello-marathon.json --wait\n  cat app.yaml | shoal apply -f - --dry-run',
    )
    .action(async (flags: ApplyFlags) => {
      const files = await Promise.all(flags.file.map(readManifestFile))
      await apply(
        client(),
        { files, dryRun: flags.dryRun ?? false, message: flags.message ?? '' },
        flags,
      )
    })

  program
    .command('run')
    .description('run an image, or a plain command of the nodes, without a file')
    .argument('[image]', 'a Docker image; leave it out to run a plain command')
    .argument('[command...]', 'the command, after --')
    .option('--name <app>', 'the app’s id (default: the image’s name)')
    .option('--instances <n>', 'how many', parseCount)
    .option(
      '--port <port>',
      'a port that the app listens on, or hostPort:port; repeat for more',
      (port: string, before: string[] | undefined) => [...(before ?? []), port],
    )
    .option('--env <k=v>', 'an environment variable; repeat for more', parsePair)
    .option('--cpus <cpus>', 'what each one needs')
    .option('--mem <mb>', 'what each one needs, in MB')
    .option('--wait', 'wait until every slot serves')
    .option('--timeout <seconds>', 'how long to wait', parseCount, 300)
    .option('--json', JSON_HELP)
    .addHelpText(
      'after',
      '\nExamples:\n  shoal run hello_world:latest --port 9001 --instances 3\n  shoal run --name clock -- sh -c "while true; do date; sleep 1; done"',
    )
    .action(async (image: string | undefined, command: string[], flags: RunFlags) => {
      const { manifestOf } = await import('./run-manifest.ts')
      const manifest = manifestOf(image, command, flags)
      const files = [{ name: 'run', text: JSON.stringify(manifest) }]
      await apply(client(), { files, message: 'shoal run' }, flags)
    })

  program
    .command('scale')
    .description('change how many slots an app has')
    .argument('<app=n>', 'such as web=5')
    .option('--json', JSON_HELP)
    .addHelpText('after', '\nExample:\n  shoal scale shop/web=5')
    .action(async (asked: string, flags: JsonFlag) => {
      const [, app, instances] = /^(.+)=(\d{1,15})$/.exec(asked) ?? []
      if (app === undefined) throw new UsageError(`scale takes APP=N, such as web=5, got ${asked}`)
      const answer = await client().post<EditAnswer>('/v1/scale', {
        app,
        instances: Number(instances),
      })
      if (flags.json === true) return sayJson(answer)
      say(
        answer.changed
          ? `${app} is to have ${count(Number(instances), 'slot')}`
          : `${app} has ${count(Number(instances), 'slot')} already`,
      )
      showStored(answer.stored)
    })

  program
    .command('rm')
    .description('remove an app, and stop its tasks')
    .argument('<app>')
    .option('--json', JSON_HELP)
    .action(async (app: string, flags: JsonFlag) => {
      const answer = await client().delete<EditAnswer>('/v1/app', { app })
      if (flags.json === true) return sayJson(answer)
      say(`${app} is removed; its tasks are stopping`)
      showStored(answer.stored)
    })

  program
    .command('ls')
    .description('list the apps')
    .option('--json', JSON_HELP)
    .action(async (flags: JsonFlag) => {
      const apps = await client().get<AppLine[]>('/v1/apps')
      if (flags.json === true) sayJson(apps)
      else showApps(apps)
    })

  program
    .command('ps')
    .description('list the slots and their tasks')
    .argument('[app]')
    .option('--json', JSON_HELP)
    .action(async (app: string | undefined, flags: JsonFlag) => {
      const tasks = await client().get<TaskLine[]>('/v1/tasks', { app })
      if (flags.json === true) return sayJson(tasks)
      showTasks(tasks, Date.now())
      const { elsewhere } = await client().get<StatusAnswer>('/v1/status')
      showElsewhere(elsewhere.filter(line => app === undefined || line.app === tasks[0]?.app))
    })

  program
    .command('inspect')
    .description('show all about an app: its names, tasks, history and specification')
    .argument('<app>')
    .option('--json', JSON_HELP)
    .action(async (app: string, flags: JsonFlag) => {
      const answer = await client().get<AppAnswer>('/v1/app', { app })
      if (flags.json === true) sayJson(answer)
      else showApp(answer, Date.now())
    })

  program
    .command('why')
    .description('explain, node by node, why each slot of an app is where it is')
    .argument('<app>')
    .option('--json', JSON_HELP)
    .addHelpText(
      'after',
      '\n✓ the node that has the slot, · one that could have it, ✗ one that refuses it\n\nExample:\n  shoal why shop/web',
    )
    .action(async (app: string, flags: JsonFlag) => {
      const answer = await client().get<WhyAnswer>('/v1/why', { app })
      if (flags.json === true) sayJson(answer)
      else showWhy(answer)
    })

  program
    .command('logs')
    .description('print what tasks print, whichever node they are on')
    .argument('<app>', 'an app, a slot such as web.2, or one task')
    .option('-f, --follow', 'go on with what comes')
    .option('--tail <lines>', 'only so many of the last lines', parseCount)
    .option('--json', JSON_HELP)
    .addHelpText('after', '\nExamples:\n  shoal logs -f web\n  shoal logs --tail 20 shop/web.2')
    .action(async (app: string, flags: JsonFlag & { follow?: boolean; tail?: number }) => {
      const lines = client().lines<LogLine>('/v1/logs', {
        app,
        follow: String(flags.follow ?? false),
        tail: flags.tail === undefined ? undefined : String(flags.tail),
      })
      for await (const line of lines) {
        if (flags.json === true) say(JSON.stringify(line))
        else if (line.stream === 'stderr') note(`${line.task} ${line.text}`)
        else say(`${line.task} ${line.text}`)
      }
    })

  program
    .command('export')
    .description('print every app as a file that `shoal apply` takes')
    .option('--json', JSON_HELP)
    .addHelpText('after', '\nExample:\n  shoal export > apps.yaml')
    .action(async (flags: JsonFlag) => {
      const manifests = await client().get<string[]>('/v1/export')
      if (flags.json === true) sayJson(manifests)
      else process.stdout.write(manifests.join('---\n'))
    })
}

async function apply(
  client: Client,
  request: ApplyRequest,
  flags: { readonly json?: boolean; readonly wait?: boolean; readonly timeout: number },
): Promise<void> {
  const answer = await client.postForAnswer<ApplyAnswer>('/v1/apply', request, [422])
  const isWrong = answer.problems.some(({ severity }) => severity === 'error')
  for (const problem of answer.problems) note(formatProblem(problem))
  if (flags.json === true) sayJson(answer)
  if (isWrong) throw new CliError('nothing was applied')
  if (flags.json !== true) {
    for (const { id, change, manifest } of answer.apps) {
      if (manifest === undefined) say(`${id} ${change}`)
      else
        say(
          `# ${id} would be ${change}\n${manifest.trimEnd()}${answer.apps.length > 1 ? '\n---' : ''}`,
        )
    }
    if (answer.stored !== undefined) showStored(answer.stored)
  }
  if (flags.wait !== true || request.dryRun === true) return
  const ids = answer.apps.map(({ id }) => id)
  await waitUntilServing(client, ids, flags.timeout * 1000)
}

async function readManifestFile(name: string): Promise<{ name: string; text: string }> {
  if (name === '-') return { name, text: await text(process.stdin) }
  try {
    return { name, text: await readFile(name, 'utf8') }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new CliError(`cannot read ${name}: ${reason}`)
  }
}
