import assert from 'node:assert/strict'
import { z } from 'zod'
import { appSchema } from '../model/app.ts'
import { valueAt, type Path } from './path.ts'

/** The parts of JSON Schema (draft 2020-12) that {@link appJsonSchema} uses and this room reads. */
export interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly items?: JsonSchema
  readonly oneOf?: readonly JsonSchema[]
  readonly type?: string
  readonly const?: unknown
  readonly default?: unknown
}

let schema: JsonSchema | undefined

/**
 * The app schema as JSON Schema, made from the zod one, so that key names and
 * defaults are written down once. Made at first use: a listing never needs it.
 */
export function appJsonSchema(): JsonSchema {
  if (schema === undefined) {
    const made: unknown = z.toJSONSchema(appSchema, { io: 'input', unrepresentable: 'any' })
    assert(isSchema(made), 'the app schema is an object')
    schema = made
  }
  return schema
}

/** The alternative of a schema that a value chose by its constant keys, such as `kind`; the schema itself if it has none. */
export function chosen(of: JsonSchema, value: unknown): JsonSchema {
  if (of.oneOf === undefined) return of
  const fits = (option: JsonSchema): boolean =>
    Object.entries(option.properties ?? {}).every(
      ([key, property]) => property.const === undefined || property.const === valueAt(value, [key]),
    )
  return of.oneOf.find(fits) ?? {}
}

/** The schema of the value at `path` of an app; nothing where there is none. */
export function schemaAt(input: unknown, path: Path): JsonSchema | undefined {
  let at: JsonSchema | undefined = appJsonSchema()
  for (const [depth, segment] of path.entries()) {
    at = typeof segment === 'number' ? at?.items : own(at?.properties, segment)
    at = at && chosen(at, valueAt(input, path.slice(0, depth + 1)))
  }
  return at
}

/** A field that the schema itself names: `toString` is none, whatever every object inherits. */
function own(properties: JsonSchema['properties'], key: string): JsonSchema | undefined {
  return properties !== undefined && Object.hasOwn(properties, key) ? properties[key] : undefined
}

function isSchema(made: unknown): made is JsonSchema {
  return typeof made === 'object' && made !== null
}
