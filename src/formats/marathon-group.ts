import type { CheckedApp } from './check-app.ts'
import { isMap } from './fields.ts'
import { errorAt, show, warningAt, type Finding } from './finding.ts'
import { consequenceOf } from './marathon-fields.ts'
import { importMarathonApp, resolveId, type MarathonPlace } from './marathon.ts'
import type { Path } from './path.ts'

/** Most dependencies of one group: each of its apps carries them all. */
const DEPENDENCIES_MAX = 256

/**
 * The apps of a group, its groups' too, with absolute ids. What a group depends on,
 * its apps depend on.
 */
export function importMarathonGroup(
  value: unknown,
  document: unknown,
  place: MarathonPlace,
): {
  readonly apps: { readonly path: Path; readonly app: CheckedApp }[]
  readonly findings: Finding[]
} {
  const findings: Finding[] = []
  const apps: { path: Path; app: CheckedApp }[] = []
  if (!isMap(value)) {
    return { apps, findings: [errorAt(place.path, `must be a group, got ${show(value)}`)] }
  }
  const id = value['id']
  const idPath = [...place.path, 'id']
  if (typeof id !== 'string') {
    findings.push(
      errorAt(
        idPath,
        id === undefined ? 'is missing: must be the group’s id' : `must be text, got ${show(id)}`,
      ),
    )
  }
  const group = resolveId(typeof id === 'string' ? id : '', place.group)
  const own = value['dependencies'] ?? []
  if (!Array.isArray(own)) {
    findings.push(errorAt([...place.path, 'dependencies'], `must be a list, got ${show(own)}`))
  }
  if (Array.isArray(own) && own.length > DEPENDENCIES_MAX) {
    const message = `must have at most ${DEPENDENCIES_MAX} items, got ${own.length}`
    findings.push(errorAt([...place.path, 'dependencies'], message))
    return { apps, findings }
  }
  const named = Array.isArray(own) ? own.filter(entry => typeof entry === 'string') : []
  const dependencies = [
    ...new Set([...place.dependencies, ...named.map(entry => resolveId(entry, group))]),
  ]
  for (const key of Object.keys(value)) {
    if (['id', 'apps', 'groups', 'dependencies'].includes(key)) continue
    const message =
      key === 'version'
        ? consequenceOf(key)
        : 'is not a field of a group that Shoal acts on: left out'
    findings.push(warningAt([...place.path, key], message))
  }
  for (const key of ['apps', 'groups'] as const) {
    const items = value[key] ?? []
    if (!Array.isArray(items)) {
      findings.push(errorAt([...place.path, key], `must be a list, got ${show(items)}`))
      continue
    }
    for (const [index, item] of items.entries()) {
      const path = [...place.path, key, index]
      const inner = { path, group, dependencies }
      if (key === 'apps') apps.push({ path, app: importMarathonApp(item, document, inner) })
      else {
        const nested = importMarathonGroup(item, document, inner)
        apps.push(...nested.apps)
        findings.push(...nested.findings)
      }
    }
  }
  return { apps, findings }
}
