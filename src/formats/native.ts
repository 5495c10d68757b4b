import { isDeepStrictEqual } from 'node:util'
import { stringify } from 'yaml'
import type { AppSpec } from '../model/app.ts'
import { appJsonSchema, chosen, type JsonSchema } from './app-json-schema.ts'
import { checkApp, type CheckedApp } from './check-app.ts'
import { isMap } from './fields.ts'
import { errorAt, show } from './finding.ts'
import { valueAt, type Path } from './path.ts'

/**
 * Reads an app in Shoal's own format: {@link AppInput} as JSON or YAML. An id may be
 * written without its leading slash. Unknown keys are errors.
 *
 * @param path Where in the document the app stands.
 */
export function importNative(value: unknown, path: Path): CheckedApp {
  if (!isMap(value)) return { findings: [errorAt(path, `must be an app, got ${show(value)}`)] }
  const { id } = value
  const absolute =
    typeof id === 'string' && !id.startsWith('/') ? { ...value, id: `/${id}` } : value
  return checkApp(absolute, inner => ({
    path: [...path, ...inner],
    value: valueAt(value, inner),
  }))
}

/**
 * Prints an app in Shoal's own format, as YAML, for `export` and `--dry-run`. What is
 * as the schema's defaults have it is left out, so that what is there is what somebody
 * chose; reading it back gives the same app.
 */
export function printManifest(spec: AppSpec): string {
  const chosenValues = withoutDefaults(spec, appJsonSchema())
  // No folding: a wrapped command is hard to compare and to copy.
  return stringify(chosenValues, { lineWidth: 0, aliasDuplicateObjects: false })
}

function withoutDefaults(value: unknown, schema: JsonSchema): unknown {
  const { items, properties } = chosen(schema, value)
  if (Array.isArray(value)) {
    return items === undefined ? value : value.map(item => withoutDefaults(item, items))
  }
  if (!isMap(value) || properties === undefined) return value
  const kept: [string, unknown][] = []
  for (const [key, inner] of Object.entries(value)) {
    const property = properties[key] ?? {}
    const shortened = withoutDefaults(inner, property)
    if (inner !== undefined && !isDeepStrictEqual(shortened, property.default)) {
      kept.push([key, shortened])
    }
  }
  return Object.fromEntries(kept)
}
