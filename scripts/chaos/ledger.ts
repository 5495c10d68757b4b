/** How sure it is that an edit was made: it was acknowledged, or asked for and never answered. */
export type Sureness = 'acknowledged' | 'unknown'

/** What was asked for an app, and what came of it. */
interface Entry {
  made: Sureness
  removed?: Sureness
  /** Acknowledged revisions, in the order of the answers. */
  readonly revisions: string[]
}

/** What a node's document says. */
export interface DocumentView {
  /** The apps that are wanted. */
  readonly apps: ReadonlySet<string>
  /** Every revision that an app's history still has, those that lost included; for apps that were asked about. */
  readonly revisions: ReadonlyMap<string, ReadonlySet<string>>
}

/** Counts of what was written down. */
export interface LedgerStats {
  readonly asked: number
  readonly acknowledged: number
  /** Acknowledged with the word that no other node has it yet. */
  readonly onlyHere: number
}

/**
 * Every edit that was asked for, so that it can be said at the end which must be in the document. An edit
 * that was not answered may be there or not; one that was acknowledged must, whatever happened since.
 */
export class Ledger {
  readonly #entries = new Map<string, Entry>()
  #stats: LedgerStats = { asked: 0, acknowledged: 0, onlyHere: 0 }

  get stats(): LedgerStats {
    return this.#stats
  }

  /** Notes that an app was asked for, before the answer: what follows may take for granted that it was. */
  ask(app: string): void {
    this.#count({ asked: 1 })
    if (!this.#entries.has(app)) this.#entries.set(app, { made: 'unknown', revisions: [] })
  }

  /** Notes that the edit was acknowledged. */
  acknowledge(
    app: string,
    { onlyHere, revision }: { readonly onlyHere: boolean; readonly revision?: string },
  ): void {
    this.#count({ acknowledged: 1, onlyHere: onlyHere ? 1 : 0 })
    const entry = this.#entryOf(app)
    entry.made = 'acknowledged'
    if (revision !== undefined) entry.revisions.push(revision)
  }

  /** Notes that the app's removal was asked for; from now on nobody may expect it to be there. */
  askRemoval(app: string): void {
    this.#count({ asked: 1 })
    this.#entryOf(app).removed ??= 'unknown'
  }

  acknowledgeRemoval(app: string, { onlyHere }: { readonly onlyHere: boolean }): void {
    this.#count({ acknowledged: 1, onlyHere: onlyHere ? 1 : 0 })
    this.#entryOf(app).removed = 'acknowledged'
  }

  /** Apps that were acknowledged and never asked to go, oldest first. */
  removable(): string[] {
    return [...this.#entries].flatMap(([app, { made, removed }]) =>
      made === 'acknowledged' && removed === undefined ? [app] : [],
    )
  }

  /** Apps of which revisions were acknowledged: ask for their histories. */
  revised(): string[] {
    return [...this.#entries].flatMap(([app, { revisions }]) => (revisions.length > 0 ? [app] : []))
  }

  /** What a document lacks that it must have, and has that it must not have; in words, empty when all is well. */
  check({ apps, revisions }: DocumentView): string[] {
    return [...this.#entries].flatMap(([app, entry]) => {
      if (entry.removed === 'acknowledged') {
        return apps.has(app) ? [`${app} is there, and its removal was acknowledged`] : []
      }
      if (entry.removed !== undefined || entry.made !== 'acknowledged') return []
      if (!apps.has(app)) return [`${app} is not there, and was acknowledged`]
      const known = revisions.get(app)
      if (known === undefined) return []
      return entry.revisions
        .filter(revision => !known.has(revision))
        .map(revision => `${app} lacks revision ${revision}, which was acknowledged`)
    })
  }

  #entryOf(app: string): Entry {
    const entry = this.#entries.get(app)
    if (entry === undefined) throw new Error(`Nobody asked for ${app}`)
    return entry
  }

  #count(more: Partial<LedgerStats>): void {
    const { asked, acknowledged, onlyHere } = this.#stats
    this.#stats = {
      asked: asked + (more.asked ?? 0),
      acknowledged: acknowledged + (more.acknowledged ?? 0),
      onlyHere: onlyHere + (more.onlyHere ?? 0),
    }
  }
}
