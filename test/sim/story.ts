/** What happened in a simulation, for the one who must find out why it failed: the latest lines only. */
export class Story {
  /** Put into words only when somebody reads them: most are never read. */
  readonly #lines: { readonly nowMs: number; readonly who: string; readonly what: string }[] = []
  readonly #keep: number

  constructor(keep = 2_000) {
    this.#keep = keep
  }

  add(nowMs: number, who: string, what: string): void {
    this.#lines.push({ nowMs, who, what })
    if (this.#lines.length > 2 * this.#keep) this.#lines.splice(0, this.#keep)
  }

  /** The last `count` lines, those that name `about` only if it is given. */
  last(count = 80, about?: string): string[] {
    const lines = this.#lines.map(
      ({ nowMs, who, what }) => `${(nowMs / 1000).toFixed(3).padStart(9)} ${who.padEnd(8)} ${what}`,
    )
    return (about === undefined ? lines : lines.filter(line => line.includes(about))).slice(-count)
  }
}
