/** How wide a terminal is taken to be when the output is no terminal. */
const WIDTH_UNKNOWN = Infinity

/** Writes a line to standard output. */
export function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** Writes a line to standard error: progress, warnings, hints. */
export function note(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** Prints data as JSON, for programs. */
export function sayJson(value: unknown): void {
  say(JSON.stringify(value, undefined, 2))
}

/**
 * Prints rows as a table with aligned columns. The last column is cut at the edge of
 * a terminal, and whole everywhere else, so that nothing is lost in a pipe.
 */
export function sayTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map(row => row[column]!.length)))
  const edge = process.stdout.isTTY ? process.stdout.columns : WIDTH_UNKNOWN
  for (const row of all) {
    const line = row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column]!)))
      .join('  ')
    say(line.length > edge ? `${line.slice(0, edge - 1)}…` : line.trimEnd())
  }
}

/** How long ago, in one unit: `12s`, `5m`, `3h`, `2d`. */
export function ago(sinceMs: number | undefined, nowMs: number): string {
  if (sinceMs === undefined) return ''
  return span(nowMs - sinceMs)
}

/** A length of time in its largest whole unit. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 120) return `${seconds}s`
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}m`
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)}h`
  return `${Math.floor(seconds / 86_400)}d`
}

/** `1 node`, `2 nodes`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
