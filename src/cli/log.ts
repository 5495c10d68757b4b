import { pino, type DestinationStream, type Logger } from 'pino'

const LEVELS: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warning',
  50: 'error',
  60: 'fatal',
}

/**
 * The daemon's log, on standard error: lines of JSON for machines, and lines for people
 * where a terminal is. `SHOAL_LOG` is the least level, `info` by default.
 */
export function createLog(): Logger {
  const level = process.env['SHOAL_LOG'] ?? 'info'
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime }
  return pino(options, process.stderr.isTTY ? forPeople() : pino.destination(2))
}

function forPeople(): DestinationStream {
  return { write: line => void process.stderr.write(`${formatLogLine(line)}\n`) }
}

/** A line of the log for people: `20:33:21 warning port 53 may not be bound … port=7453`. */
export function formatLogLine(line: string): string {
  const { level, time, msg, err, ...rest } = JSON.parse(line) as Record<string, unknown>
  const clock = String(time).slice(11, 19)
  const details = Object.entries(rest).map(([key, value]) =>
    typeof value === 'string' ? `${key}=${value}` : `${key}=${JSON.stringify(value)}`,
  )
  const reason = isError(err) ? [`: ${err.message}`] : []
  const kind = level === 30 ? [] : [LEVELS[Number(level)] ?? String(level)]
  return [clock, ...kind, `${String(msg)}${reason.join('')}`, ...details].join(' ')
}

function isError(value: unknown): value is { readonly message: string } {
  return typeof value === 'object' && value !== null && 'message' in value
}
