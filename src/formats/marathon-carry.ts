import { isDeepStrictEqual } from 'node:util'
import { isMap, type Fields } from './fields.ts'
import { consequenceOf, INERT_DEFAULTS } from './marathon-fields.ts'
import { formatPath, type Path } from './path.ts'

/** Warns that a field is kept but not acted on, unless it says no more than Marathon's own default. */
export function warnUnlessInert(fields: Fields, key: string, row = key): void {
  const value = fields.get(key)
  if (value === undefined || isDeepStrictEqual(value, INERT_DEFAULTS[row])) return
  fields.draft.warn(fields.at(key), `kept, not acted on: ${consequenceOf(row)}`)
}

/**
 * The parts of a Marathon app that `derived`, the app as Shoal would print it, does
 * not say: path → value. Whatever an importer forgot, rounded or mapped away is found
 * here, so that what came in goes out again whole.
 */
export function missingFrom(
  derived: unknown,
  source: unknown,
  path: Path = [],
): Record<string, unknown> {
  if (covers(derived, source)) return {}
  if (!isMap(source) || !isMap(derived)) return { [formatPath(path)]: source }
  const missing: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(source)) {
    const own = Object.hasOwn(derived, key) ? derived[key] : undefined
    Object.assign(missing, missingFrom(own, value, [...path, key]))
  }
  return missing
}

function covers(derived: unknown, source: unknown): boolean {
  if (source === null || source === undefined) return true
  if (Array.isArray(source)) {
    return (
      Array.isArray(derived) &&
      derived.length === source.length &&
      source.every((item, index) => covers(derived[index], item))
    )
  }
  if (!isMap(source)) return derived === source
  return (
    isMap(derived) &&
    Object.entries(source).every(([key, value]) =>
      covers(Object.hasOwn(derived, key) ? derived[key] : undefined, value),
    )
  )
}
