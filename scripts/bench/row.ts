/** One measured figure. A bench is an exported `benchX(): Promise<BenchRow[]>` in a file beside this. */
export interface BenchRow {
  /** What was measured, with the size it was measured at: `place, 1,000 nodes × 10,000 slots`. */
  readonly name: string
  readonly value: number
  /** `ms`, `MB`, `%`, `queries/s`, … */
  readonly unit: string
  /** The bounds to reach, in the same unit. A row without any is for information. */
  readonly target?: { readonly max?: number; readonly min?: number }
  /** What one must know to read the figure. */
  readonly note?: string
}

/** Whether a figure is within its bounds; undefined for one that has none. */
export function meetsTarget({ value, target }: BenchRow): boolean | undefined {
  if (target === undefined) return undefined
  return value <= (target.max ?? Infinity) && value >= (target.min ?? -Infinity)
}
