import { fromMs, type Duration } from '../model/duration.ts'
import { unknownField } from './check-app.ts'
import type { Draft } from './draft.ts'
import { PROBLEMS_MAX, show } from './finding.ts'
import type { Path } from './path.ts'

/** Longest time that an importer takes, in seconds: a year. */
const SECONDS_MAX = 31_536_000

/**
 * Reads the fields of one map of a foreign file. Every field that is asked for is
 * ticked off, a field of the wrong kind is an error of the draft (and reads as
 * absent, so that the rest is still checked), and {@link Fields.rest} carries what
 * nobody asked for: so no field can be dropped in silence.
 *
 * `null` reads as absent, as in Marathon and Kubernetes.
 */
export class Fields {
  readonly path: Path
  readonly draft: Draft
  readonly #map: Readonly<Record<string, unknown>>
  readonly #seen = new Set<string>()

  constructor(map: Readonly<Record<string, unknown>>, path: Path, draft: Draft) {
    this.#map = map
    this.path = path
    this.draft = draft
  }

  /** Where a field of this map is. */
  at(key: string): Path {
    return [...this.path, key]
  }

  /** A field of any kind. */
  get(key: string): unknown {
    this.#seen.add(key)
    return (Object.hasOwn(this.#map, key) ? this.#map[key] : undefined) ?? undefined
  }

  text(key: string): string | undefined {
    return this.#typed(key, 'text', value => (typeof value === 'string' ? value : undefined))
  }

  number(key: string): number | undefined {
    return this.#typed(key, 'a number', value => (typeof value === 'number' ? value : undefined))
  }

  integer(key: string): number | undefined {
    return this.#typed(key, 'an integer', value =>
      typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined,
    )
  }

  flag(key: string): boolean | undefined {
    return this.#typed(key, 'true or false', value =>
      typeof value === 'boolean' ? value : undefined,
    )
  }

  /** A number of seconds, as a duration. */
  seconds(key: string): Duration | undefined {
    return this.#typed(key, `a number of seconds from 0 to ${SECONDS_MAX}`, value =>
      typeof value === 'number' && value >= 0 && value <= SECONDS_MAX
        ? fromMs(Math.round(value * 1_000))
        : undefined,
    )
  }

  texts(key: string): string[] | undefined {
    return this.#typed(key, 'a list of texts', value =>
      Array.isArray(value) && value.every(item => typeof item === 'string') ? value : undefined,
    )
  }

  list(key: string): unknown[] | undefined {
    return this.#typed(key, 'a list', value => (Array.isArray(value) ? value : undefined))
  }

  /** A map of texts, such as labels. */
  labels(key: string): Record<string, string> | undefined {
    const fields = this.map(key)
    if (fields === undefined) return undefined
    const labels: Record<string, string> = {}
    for (const name of fields.keys()) {
      const value = fields.text(name)
      if (value !== undefined) labels[name] = value
    }
    return labels
  }

  map(key: string): Fields | undefined {
    const value = this.#typed(key, 'a map', candidate => (isMap(candidate) ? candidate : undefined))
    return value && new Fields(value, this.at(key), this.draft)
  }

  /** A list of maps. An item that is none is an error, and left out. */
  maps(key: string): Fields[] | undefined {
    return this.list(key)?.flatMap((item, index) => {
      const path = [...this.at(key), index]
      if (isMap(item)) return [new Fields(item, path, this.draft)]
      this.draft.error(path, `must be a map, got ${show(item)}`)
      return []
    })
  }

  /** All keys of the map, whether asked for or not. */
  keys(): string[] {
    return Object.keys(this.#map)
  }

  /** The map itself, for what is carried whole. */
  whole(): Readonly<Record<string, unknown>> {
    for (const key of this.keys()) this.#seen.add(key)
    return this.#map
  }

  /** Carries a field, if it is there, and says what follows from Shoal not acting on it. */
  carry(key: string, consequence?: string): void {
    const value = this.get(key)
    if (value !== undefined) this.draft.carry(this.at(key), value, consequence)
  }

  /** Carries each field that has not been asked for. */
  rest(known: readonly string[] = []): void {
    const candidates = [...this.#seen, ...known]
    const unknown = this.keys().filter(name => !this.#seen.has(name))
    if (unknown.length > PROBLEMS_MAX) {
      const message = `must have at most ${PROBLEMS_MAX} fields that Shoal does not know, got ${unknown.length}`
      this.draft.error(this.path, message)
      return
    }
    for (const key of unknown) {
      const value = this.get(key)
      if (value === undefined) continue
      const message = unknownField(
        key,
        candidates,
        'is not a field that Shoal knows: kept, not acted on',
      )
      this.draft.carry(this.at(key), value, message)
    }
  }

  #typed<T>(key: string, rule: string, read: (value: unknown) => T | undefined): T | undefined {
    const value = this.get(key)
    if (value === undefined) return undefined
    const typed = read(value)
    if (typed === undefined) this.draft.error(this.at(key), `must be ${rule}, got ${show(value)}`)
    return typed
  }
}

/** True for a map of plain data: no list, and not null. */
export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
