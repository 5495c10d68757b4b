import { checkApp, type CheckedApp } from './check-app.ts'
import { errorAt, warningAt, type Finding } from './finding.ts'
import { formatPath, putAt, valueAt, type Path } from './path.ts'

/** An app that is being translated out of another format. */
export interface Draft {
  /** Sets a value of the app, and remembers where in the file it came from. */
  put(target: Path, value: unknown, source: Path): void
  /** What has been put at `target`. */
  at(target: Path): unknown
  error(source: Path, message: string): void
  warn(source: Path, message: string): void
  /**
   * Keeps a value that the app schema has no place for, so that it can be given back.
   *
   * @param consequence Told as a warning; leave it out only where nothing is lost.
   * @param as Where it is given back, if that is not where it stood.
   */
  carry(source: Path, value: unknown, consequence?: string, as?: Path): void
  /** The app, checked against the schema. No app where anything was an error. */
  finish(): CheckedApp
  /** What has been found so far. */
  readonly findings: readonly Finding[]
}

/**
 * Starts a draft.
 *
 * @param document The whole document that the app is in.
 * @param base Where in the document the app is; carried paths are told from there.
 */
export function createDraft(
  format: 'marathon' | 'kubernetes',
  document: unknown,
  base: Path,
): Draft {
  const app: Record<string, unknown> = {}
  const carried: Record<string, unknown> = {}
  const origins = new Map<string, Path>()
  const findings: Finding[] = []

  /** The origin of the longest known part of `target`, with the rest of it appended. */
  function originOf(target: Path): { path: Path; value: unknown } {
    for (let length = target.length; length >= 0; length--) {
      const source = origins.get(formatPath(target.slice(0, length)))
      if (source === undefined) continue
      const path = [...source, ...target.slice(length)]
      const value = valueAt(document, path)
      if (length === target.length || value !== undefined) return { path, value }
      return { path: source, value: valueAt(app, target) }
    }
    return { path: base, value: valueAt(app, target) }
  }

  return {
    findings,
    put(target, value, source) {
      putAt(app, target, value)
      origins.set(formatPath(target), source)
    },
    at: target => valueAt(app, target),
    error: (source, message) => void findings.push(errorAt(source, message)),
    warn: (source, message) => void findings.push(warningAt(source, message)),
    carry(source, value, consequence, as = source.slice(base.length)) {
      carried[formatPath(as)] = value
      if (consequence !== undefined) findings.push(warningAt(source, consequence))
    },
    finish() {
      const checked = checkApp({ ...app, carried: { format, fields: carried } }, originOf)
      const all = [...findings, ...checked.findings]
      if (checked.spec === undefined || all.some(({ severity }) => severity === 'error')) {
        return { findings: all }
      }
      return { spec: checked.spec, findings: all }
    },
  }
}
