import { appJsonSchema } from './app-json-schema.ts'
import { isMap } from './fields.ts'
import { MARATHON_APP_KEYS } from './marathon-fields.ts'

type JsonMap = Readonly<Record<string, unknown>>

/** What a value of a manifest is. */
export type Detected =
  | { readonly kind: 'native' | 'marathon' | 'marathon-group' | 'nothing' }
  | { readonly kind: 'kubernetes'; readonly object: JsonMap }
  | { readonly kind: 'list'; readonly items: readonly unknown[] }
  /** A map whose one key leads to an app or a list of them. */
  | { readonly kind: 'apps'; readonly key: string; readonly apps: unknown }

/**
 * Tells the formats apart by the names of their fields. Kubernetes objects say what
 * they are. Marathon and Shoal share `id`, `env` and others; the one that has more of
 * the names that only it has is meant, and Shoal when there are none.
 */
export function detect(value: unknown): Detected {
  if (Array.isArray(value)) return { kind: 'list', items: value }
  if (!isMap(value)) return { kind: 'nothing' }
  const keys = Object.keys(value)
  const has = (key: string): boolean => Object.hasOwn(value, key)
  if (has('kind') || has('apiVersion')) return { kind: 'kubernetes', object: value }
  // `{apps: […]}` and `{app: {…}}` are also what Marathon's own API answers.
  const [key] = keys
  if (keys.length === 1 && (key === 'apps' || key === 'app') && isContainer(value[key])) {
    return { kind: 'apps', key, apps: value[key] }
  }
  if (has('apps') || has('groups')) return { kind: 'marathon-group' }
  const native = Object.keys(appJsonSchema().properties ?? {})
  const own = keys.filter(name => native.includes(name) && !MARATHON_APP_KEYS.includes(name))
  const theirs = keys.filter(name => MARATHON_APP_KEYS.includes(name) && !native.includes(name))
  return { kind: theirs.length > own.length ? 'marathon' : 'native' }
}

function isContainer(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}
