import { UsageError } from './client.ts'

/** What `shoal run` makes an app of. */
export interface RunFlags {
  readonly name?: string
  readonly instances?: number
  readonly port?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly cpus?: string
  readonly mem?: string
}

/** The manifest, in Shoal's own format, of what `shoal run` was told. The daemon checks it. */
export function manifestOf(
  image: string | undefined,
  command: readonly string[],
  flags: RunFlags,
): Record<string, unknown> {
  const isImage = image !== undefined && isAskedBefore(image)
  const words = isImage || image === undefined ? command : [image, ...command]
  const id = flags.name ?? (isImage ? nameOfImage(image) : undefined)
  if (id === undefined) throw new UsageError('a plain command needs a name: --name APP')
  if (!isImage && words.length === 0)
    throw new UsageError('say what to run: an image, or -- and a command')
  return {
    id,
    ...(isImage && { image }),
    ...(words.length > 0 && { command: words }),
    ...(flags.instances !== undefined && { instances: flags.instances }),
    ...(flags.port && { ports: flags.port.map(portOf) }),
    ...(flags.env && { env: flags.env }),
    ...((flags.cpus !== undefined || flags.mem !== undefined) && {
      resources: {
        ...(flags.cpus !== undefined && { cpus: Number(flags.cpus) }),
        ...(flags.mem !== undefined && { memMb: Number(flags.mem) }),
      },
    }),
  }
}

/** True when the word stood before `--`: behind it everything is the command. */
function isAskedBefore(word: string): boolean {
  const dashes = process.argv.indexOf('--')
  return dashes === -1 || process.argv.slice(0, dashes).includes(word)
}

/** `shop/hello_world:latest` is the app `hello-world`. */
function nameOfImage(image: string): string {
  const base = image.split('/').at(-1)!.split(/[:@]/)[0]!
  return base
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
}

function portOf(text: string): { port: number; hostPort?: number } {
  const [, hostPort, port] = /^(?:(\d{1,5}):)?(\d{1,5})$/.exec(text) ?? []
  if (port === undefined) throw new UsageError(`--port takes a port or hostPort:port, got ${text}`)
  return { port: Number(port), ...(hostPort !== undefined && { hostPort: Number(hostPort) }) }
}
