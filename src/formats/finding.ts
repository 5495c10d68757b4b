import type { Problem } from '../model/problem.ts'
import { formatPath, type Path } from './path.ts'

/** A problem before it is known which file and line it belongs to. */
export interface Finding {
  readonly severity: Problem['severity']
  readonly path: Path
  readonly message: string
}

/** Most problems that one reading lists: whoever sees a hundred fixes the first and reads again. */
export const PROBLEMS_MAX = 100

/** Something that makes the file unusable. */
export function errorAt(path: Path, message: string): Finding {
  return { severity: 'error', path, message }
}

/** Something that works, but not as the file says. */
export function warningAt(path: Path, message: string): Finding {
  return { severity: 'warning', path, message }
}

/** Gives findings their file, and their line where `lineOf` knows it. */
export function toProblems(
  findings: readonly Finding[],
  file = '',
  lineOf?: (path: Path) => number,
): Problem[] {
  return findings.map(({ severity, path, message }) => ({
    severity,
    file,
    ...(lineOf !== undefined && { line: lineOf(path) }),
    path: formatPath(path),
    message,
  }))
}

/** A received value, short enough for one line: `"two"`, `-1`, `a list`. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  if (typeof value === 'object' && value !== null) return 'a map'
  const text = JSON.stringify(typeof value === 'bigint' ? String(value) : value)
  return text.length <= 60 ? text : `${text.slice(0, 56)}…${text.endsWith('"') ? '"' : ''}`
}
