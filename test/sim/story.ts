/** What happened in a simulation, for the one who must find out why it failed: the latest lines only. */
export class Story {
  readonly #lines: string[] = []
  readonly #keep: number

  constructor(keep = 2_000) {
    this.#keep = keep
  }

  add(nowMs: number, who: string, what: string): void {
    this.#lines.push(`${(nowMs / 1000).toFixed(3).padStart(9)} ${who.padEnd(8)} ${what}`)
    if (this.#lines.length > 2 * this.#keep) this.#lines.splice(0, this.#keep)
  }

  /** The last `count` lines, those that name `about` only if it is given. */
  last(count = 80, about?: string): string[] {
    const lines =
      about === undefined ? this.#lines : this.#lines.filter(line => line.includes(about))
    return lines.slice(-count)
  }
}
