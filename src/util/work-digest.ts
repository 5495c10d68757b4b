import type { AppSpec } from '../model/app.ts'
import { toBytes } from './bytes.ts'
import { digest } from './keys.ts'

const digests = new WeakMap<AppSpec, string>()

/**
 * A digest of what a running task was started with. Two revisions with the same one
 * differ only in what can change around a task, such as `instances`, constraints or
 * health checks: going from one to the other restarts nothing.
 */
export function workDigest(spec: AppSpec): string {
  let known = digests.get(spec)
  if (known === undefined) {
    const { image, entrypoint, command, resources, limits, network, ports } = spec
    const { env, labels, volumes, user, workdir, tty, privileged } = spec
    known = digest(
      toBytes([
        { image, entrypoint, command, resources, limits, network, ports },
        { env, labels, volumes, user, workdir, tty, privileged },
      ]),
    )
    digests.set(spec, known)
  }
  return known
}
