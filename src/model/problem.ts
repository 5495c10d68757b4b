/**
 * One thing that is wrong with, or worth a warning about, what somebody gave us.
 * Plain data: the core never throws for bad input, it lists problems.
 */
export interface Problem {
  readonly severity: 'error' | 'warning'
  /** The file's name as it was given, or an empty string. */
  readonly file: string
  /** Counted from 1, where it is known. */
  readonly line?: number
  /** Where in the document, such as `container.portMappings[0].hostPort`. Empty for the whole. */
  readonly path: string
  /** What was expected and what was there: `must be >= 0, got -1`. */
  readonly message: string
}

/** Prints a problem on one line: `web.json:4: instances: must be >= 0, got -1`. */
export function formatProblem({ severity, file, line, path, message }: Problem): string {
  const where = line === undefined ? file : `${file}:${line}`
  const kind = severity === 'warning' ? 'warning' : ''
  return [where, kind, path, message].filter(Boolean).join(': ')
}
