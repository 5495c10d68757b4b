import type { z } from 'zod'
import { APP_SIZE_BYTES_MAX, appSchema, type AppSpec } from '../model/app.ts'
import { nearest } from '../util/nearest.ts'
import { schemaAt } from './app-json-schema.ts'
import { errorAt, PROBLEMS_MAX, show, type Finding } from './finding.ts'
import { valueAt, type Path } from './path.ts'

/** An app, or why there is none. `spec` is absent exactly when a finding is an error. */
export interface CheckedApp {
  readonly spec?: AppSpec
  readonly findings: readonly Finding[]
}

/** Where the value at a path of the app was written in the file. */
export interface Origin {
  readonly path: Path
  /** What stands there, to be shown to its author. */
  readonly value: unknown
}

type Issue = z.core.$ZodIssue

const NOUNS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'an integer',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  record: 'a map',
}

/**
 * Checks an app against the one schema, and puts each issue into words of the file
 * that the app came from.
 *
 * @param originOf Where a value of the app was written; the app itself by default.
 */
export function checkApp(
  input: unknown,
  originOf: (path: Path) => Origin = path => ({ path, value: valueAt(input, path) }),
): CheckedApp {
  const parsed = appSchema.safeParse(input)
  if (!parsed.success) {
    return { findings: parsed.error.issues.flatMap(issue => explain(issue, input, originOf)) }
  }
  const sizeBytes = Buffer.byteLength(JSON.stringify(parsed.data))
  if (sizeBytes > APP_SIZE_BYTES_MAX) {
    const message = `must be at most ${APP_SIZE_BYTES_MAX} bytes as JSON, got ${sizeBytes}`
    return { findings: [errorAt(originOf([]).path, message)] }
  }
  return { spec: parsed.data, findings: [] }
}

function explain(issue: Issue, input: unknown, originOf: (path: Path) => Origin): Finding[] {
  const path: Path = issue.path.filter(segment => typeof segment !== 'symbol')
  const origin = originOf(path)
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(schemaAt(input, path)?.properties ?? {})
    return issue.keys
      .slice(0, PROBLEMS_MAX)
      .map(key =>
        errorAt(
          originOf([...path, key]).path,
          unknownField(
            path.length === 0 ? (SYNONYMS.get(key) ?? key) : key,
            known,
            'is not a field',
          ),
        ),
      )
  }
  if (issue.code === 'invalid_union') {
    // The alternative that was meant is the one that got further than the value's own kind.
    const deeper = issue.errors.find(issues => issues.some(inner => inner.path.length > 0))
    if (deeper !== undefined) {
      return deeper.flatMap(inner =>
        explain({ ...inner, path: [...issue.path, ...inner.path] }, input, originOf),
      )
    }
  }
  // A whole that breaks a rule is not worth showing: the rule names the part.
  const got =
    issue.code === 'custom' && (typeof origin.value === 'object' || / got /.test(issue.message))
      ? ''
      : `, got ${show(origin.value)}`
  const missing = origin.value === undefined && path.length > 0 && !/ got /.test(issue.message)
  // The schema library reports a text where an integer belongs as "no number".
  const integer = issue.code === 'invalid_type' && schemaAt(input, path)?.type === 'integer'
  const rule = integer ? 'must be an integer' : ruleOf(issue)
  return [errorAt(origin.path, missing ? `is missing: ${rule}` : `${rule}${got}`)]
}

/** What the fields of other formats are called here. */
const SYNONYMS: ReadonlyMap<string, string> = new Map([
  ['replicas', 'instances'],
  ['cmd', 'command'],
  ['args', 'command'],
  ['cpus', 'resources.cpus'],
  ['mem', 'resources.memMb'],
  ['memory', 'resources.memMb'],
  ['environment', 'env'],
  ['healthChecks', 'health'],
  ['healthcheck', 'health'],
  ['workingDir', 'workdir'],
])

/** Says that a field is not known, and which one was probably meant. */
export function unknownField(key: string, known: readonly string[], message: string): string {
  const meant = key.includes('.') && known.includes(key.split('.')[0]!) ? key : nearest(key, known)
  return meant === undefined ? message : `${message}; did you mean "${meant}"?`
}

function ruleOf(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${NOUNS[issue.expected] ?? issue.expected}`
    case 'too_small':
      return `must ${amount(issue.origin, '>=', Number(issue.minimum))}`
    case 'too_big':
      return `must ${amount(issue.origin, '<=', Number(issue.maximum))}`
    case 'invalid_value':
      return `must be ${oneOf(issue.values)}`
    case 'invalid_union':
      return `must be ${unionOf(issue)}`
    case 'invalid_key':
      return 'must have a name of 1 to 255 characters without "=" and NUL'
    case 'custom':
    case 'invalid_format':
    case 'invalid_element':
    case 'not_multiple_of':
    case 'unrecognized_keys':
      return issue.message
  }
}

function unionOf(issue: z.core.$ZodIssueInvalidUnion): string {
  if ('options' in issue && Array.isArray(issue.options)) return oneOf(issue.options)
  const rules = issue.errors.flatMap(([first]) =>
    first === undefined ? [] : [ruleOf(first).replace(/^must be /, '')],
  )
  return [...new Set(rules)].join(' or ')
}

function amount(origin: string, relation: '>=' | '<=', bound: number): string {
  if (origin !== 'string' && origin !== 'array') return `be ${relation} ${bound}`
  if (relation === '>=' && bound === 1) return 'not be empty'
  const size = `${relation === '>=' ? 'at least' : 'at most'} ${bound}`
  return `have ${size} ${origin === 'string' ? 'characters' : 'items'}`
}

function oneOf(values: readonly unknown[]): string {
  const shown = values.map(show)
  const last = shown.pop() ?? ''
  return shown.length === 0 ? last : `${shown.join(', ')} or ${last}`
}
