import type { Fields } from './fields.ts'

/** Reads the two security contexts; the container's goes before the pod's. */
export function readSecurity(pod: Fields, container: Fields): void {
  const { draft } = pod
  const inner = container.map('securityContext')
  const outer = pod.map('securityContext')
  const users = [inner, outer].map(context => context?.integer('runAsUser'))
  const groups = [inner, outer].map(context => context?.integer('runAsGroup'))
  const user = users[0] ?? users[1]
  const group = groups[0] ?? groups[1]
  const source = (inner ?? outer)?.path ?? pod.path
  if (user !== undefined) {
    draft.put(['user'], group === undefined ? `${user}` : `${user}:${group}`, source)
  } else if (group !== undefined) {
    for (const context of [inner, outer])
      context?.carry('runAsGroup', 'has no effect without runAsUser')
  }
  if (inner?.flag('privileged') === true) draft.put(['privileged'], true, inner.at('privileged'))
  for (const context of [inner, outer]) {
    if (context === undefined) continue
    for (const key of context.keys()) {
      if (['runAsUser', 'runAsGroup', 'privileged'].includes(key)) continue
      context.carry(key, 'is not applied: Docker’s own default is')
    }
  }
}
