import type { AppId } from '../model/ids.ts'
import { mangleLabel, namesOfApp } from './labels.ts'
import { LABEL_BYTES_MAX } from './records.ts'

/** A name that more than one thing claims. */
export interface NameConflict {
  /** Below the zone's domain: `web-shop`. */
  readonly name: string
  /** Who answers to it: an app's id, or words for something else. */
  readonly kept: string
  /** Who does not, and must be asked for by another name. */
  readonly lost: readonly string[]
}

/**
 * Who owns which name. Several apps may claim one (`/shop/web` and `/web-shop`
 * are both `web-shop`): the claim of the lowest rank wins, then the app whose id
 * sorts first, so that every node answers alike. Blending the two apps into one
 * answer was rejected: it would send clients to the wrong service half the time.
 */
export interface NameTable {
  /** Replaces all claims of `app`. */
  claim(app: AppId, aliases: readonly string[]): void
  release(app: AppId): void
  ownerOf(name: string): AppId | undefined
  /** True when there are names below `name`. */
  hasBelow(name: string): boolean
  /** The name of `app` that its slots' own names hang below; nothing when it lost every name. */
  homeOf(app: AppId): string | undefined
  /** @param slotLabelsOf The slots that an app has now. */
  conflicts(slotLabelsOf: (app: AppId) => Iterable<string>): NameConflict[]
}

interface Claim {
  readonly name: string
  readonly app: AppId
  /** 0: the id itself; 1: its one-label form, or cut to fit; 2: made to get around a limit; 3: an alias. */
  readonly rank: number
}

/** Makes an empty table. Address names in and below `reserved` are not for apps. */
export function createNameTable(reserved: string): NameTable {
  const byName = new Map<string, readonly Claim[]>()
  const byApp = new Map<AppId, readonly Claim[]>()
  const below = new Map<string, number>()

  return {
    claim: (app, aliases) => {
      release(app)
      const claims = claimsOf(app, aliases, reserved)
      byApp.set(app, claims)
      for (const claim of claims) {
        const others = byName.get(claim.name) ?? []
        byName.set(claim.name, [...others, claim].toSorted(compareClaims))
        for (const ancestor of ancestorsOf(claim.name)) count(ancestor, 1)
      }
    },
    release,
    ownerOf,
    hasBelow: name => below.has(name),
    homeOf: app =>
      byApp.get(app)?.find(({ name }) => ownerOf(name) === app && !isReserved(name))?.name,
    conflicts: slotLabelsOf => [...contested(), ...hiddenBySlots(slotLabelsOf)],
  }

  function ownerOf(name: string): AppId | undefined {
    return byName.get(name)?.[0]?.app
  }

  function release(app: AppId): void {
    for (const { name } of byApp.get(app) ?? []) {
      const rest = byName.get(name)!.filter(claim => claim.app !== app)
      if (rest.length > 0) byName.set(name, rest)
      else byName.delete(name)
      for (const ancestor of ancestorsOf(name)) count(ancestor, -1)
    }
    byApp.delete(app)
  }

  function count(name: string, change: number): void {
    const left = (below.get(name) ?? 0) + change
    if (left > 0) below.set(name, left)
    else below.delete(name)
  }

  function isReserved(name: string): boolean {
    return name === reserved || name.endsWith(`.${reserved}`)
  }

  function contested(): NameConflict[] {
    return Array.from(byName, ([name, [first, ...others]]) =>
      isReserved(name)
        ? { name, kept: 'the names of nodes', lost: [first!, ...others].map(({ app }) => app) }
        : { name, kept: first!.app, lost: others.map(({ app }) => app) },
    ).filter(({ lost }) => lost.length > 0)
  }

  /** Apps with a name such as `2.web`, where `web` is another app: it is that one's slot 2. */
  function hiddenBySlots(slotLabelsOf: (app: AppId) => Iterable<string>): NameConflict[] {
    return [...byName.keys()].flatMap(name => {
      const [label, parent] = splitFirst(name)
      const parentApp = parent === undefined ? undefined : ownerOf(parent)
      const app = ownerOf(name)!
      if (parentApp === undefined || parentApp === app) return []
      if (!isSlotNumber(label) && ![...slotLabelsOf(parentApp)].includes(label)) return []
      return [{ name, kept: `slot ${label} of ${parentApp}`, lost: [app] }]
    })
  }
}

/** True for a label that always means a slot when it stands before the name of an app, even of one that is not there now. */
export function isSlotNumber(label: string): boolean {
  return /^(?:0|[1-9]\d*)$/.test(label)
}

/** The first label of a name, and what follows it. */
export function splitFirst(name: string): [first: string, rest: string | undefined] {
  const dot = name.indexOf('.')
  return dot < 0 ? [name, undefined] : [name.slice(0, dot), name.slice(dot + 1)]
}

/** All names that an app asks for, best first: the first that it gets is what its slots hang below. */
function claimsOf(app: AppId, aliases: readonly string[], reserved: string): Claim[] {
  const { dotted, dashed, exact } = namesOfApp(app)
  const dottedRank = exact ? 0 : 1
  const wanted: Omit<Claim, 'app'>[] = [
    { name: dashed, rank: dashed === dotted ? dottedRank : 1 },
    { name: dotted, rank: dottedRank },
    // `node` is where nodes are, so the app `/node` is found here.
    ...(dashed === reserved ? [{ name: `${reserved}-app`, rank: 2 }] : []),
    ...aliases.map(alias => ({ name: mangleLabel(alias), rank: 3 })),
  ]
  const claims = new Map<string, Claim>()
  for (const { name, rank } of wanted) {
    if (name !== '' && !claims.has(name)) claims.set(name, { name, app, rank })
    // `_web` must fit a label too: the longest ones are also known without their last character.
    const [first, rest] = splitFirst(name)
    if (first.length < LABEL_BYTES_MAX) continue
    const short = [first.slice(0, -1), ...(rest === undefined ? [] : [rest])].join('.')
    if (!claims.has(short)) claims.set(short, { name: short, app, rank: 2 })
  }
  return [...claims.values()]
}

function compareClaims(one: Claim, other: Claim): number {
  return one.rank - other.rank || (one.app < other.app ? -1 : 1)
}

function* ancestorsOf(name: string): Generator<string> {
  for (let [, rest] = splitFirst(name); rest !== undefined; [, rest] = splitFirst(rest)) yield rest
}
