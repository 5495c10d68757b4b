/** How waiting grows from failure to failure. */
export interface BackoffOptions {
  /** Wait after the first failure, in milliseconds. */
  readonly initialMs: number
  /** Each further failure multiplies the wait by this. */
  readonly factor: number
  /** No wait is longer, in milliseconds. */
  readonly maxMs: number
}

/** How long to wait after `failures` failures in a row, in whole milliseconds; 0 after none. */
export function backoffMs(failures: number, { initialMs, factor, maxMs }: BackoffOptions): number {
  if (failures <= 0) return 0
  return Math.min(maxMs, Math.round(initialMs * factor ** (failures - 1)))
}
