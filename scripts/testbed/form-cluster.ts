import { until } from './process-table.ts'
import type { TestHost } from './test-host.ts'

/** How long a daemon may take from its start to its first answer, on a busy machine. */
const ANSWER_MS = 30_000

/**
 * Starts a Shoal daemon on each host and makes one cluster of them, as a user would: `up` on the
 * first, `token create`, `up --join` on the others. Resolves when all of them answer; what they see of
 * each other by then, the caller asks.
 */
export async function formCluster(
  hosts: readonly TestHost[],
  args: readonly string[] = [],
): Promise<void> {
  const [first, ...others] = hosts
  if (first === undefined) throw new RangeError('Cannot form a cluster of no hosts')
  first.startDaemon(args)
  await awaitAnswer(first)
  const { code, stdout, stderr } = await first.shoal(['token', 'create'])
  const token = stdout.trim().split('\n').at(-1) ?? ''
  if (code !== 0 || token === '') throw new Error(`Cannot make a token: ${stderr.trim()}`)
  for (const host of others) host.startDaemon(['--join', token, ...args])
  await Promise.all(others.map(awaitAnswer))
}

/** Waits until the host's daemon answers; throws its last words if it ends or takes too long. */
export async function awaitAnswer(host: TestHost): Promise<void> {
  try {
    await until('the daemon answers', ANSWER_MS, async () => {
      if (!host.isDaemonRunning()) throw new Error('it ended')
      const { code } = await host.shoal(['status', '--json'])
      return code === 0
    })
  } catch (cause) {
    const problem = `the daemon of host ${host.number} does not answer: ${String(cause)}`
    throw new Error(`${problem}\n${host.readLog(10)}`, { cause })
  }
}
