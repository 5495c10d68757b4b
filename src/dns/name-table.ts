import type { AppId } from '../model/ids.ts'
import { RANK, splitFirst, type Claim } from './name-claims.ts'

/** A name that more than one thing claims. */
export interface NameConflict {
  /** `web-shop`, below the table's domain; whole, `web-shop.shoal`, where a zone tells it. */
  readonly name: string
  /** Who answers to it: an app's id, or words for something else. */
  readonly kept: string
  /** Who does not, and must be asked for by another name. */
  readonly lost: readonly string[]
}

/** An app as far as names go. */
export interface NamedApp {
  readonly id: AppId
  readonly aliases: readonly string[]
}

/**
 * Who owns which name. Several apps may claim one (`/shop/web` and `/web-shop`
 * are both `web-shop`): the claim of the lowest rank wins, then the app whose id
 * sorts first, so that every node answers alike. Blending the two apps into one
 * answer was rejected: it would send clients to the wrong service half the time.
 */
export interface NameTable {
  /** Replaces all claims of an app. */
  claim(app: NamedApp): void
  release(app: AppId): void
  ownerOf(name: string): AppId | undefined
  /** True for an address name that is not for the app which claims it. */
  isReserved(name: string): boolean
  /** True when there are names below `name`. */
  hasBelow(name: string): boolean
  /** The best name of an app, which its slots' own names hang below; nothing when it lost every name. */
  homeOf(app: AppId): string | undefined
  /** The names that an app has, best first. */
  namesOf(app: AppId): string[]
  conflicts(): NameConflict[]
  /** The conflicts that `apps` would be in if they were claimed now. Costs what the apps have names, and a look at all names where one has others below it. */
  conflictsWith(apps: readonly NamedApp[]): NameConflict[]
}

/** What a table is for. */
export interface NameTableOptions {
  readonly claimsOf: (app: AppId, aliases: readonly string[]) => readonly Claim[]
  /** Subdomains whose address names are not for the ids of apps, and whose they are, in words. */
  readonly reserved?: ReadonlyMap<string, string>
  /** What `label` before a name of `app` always is, in words, even where an app has a name that reads so. */
  readonly meaningOf?: (label: string, app: AppId) => string | undefined
}

/** A conflict, and all apps that are in it. */
interface Found {
  readonly conflict: NameConflict
  readonly apps: readonly AppId[]
}

/** Makes an empty table. */
export function createNameTable(options: NameTableOptions): NameTable {
  return createTable(options)
}

function createTable(options: NameTableOptions): NameTable & { found(): Found[] } {
  const { claimsOf, reserved = new Map<string, string>(), meaningOf = () => undefined } = options
  const byName = new Map<string, readonly Claim[]>()
  const byApp = new Map<AppId, { readonly app: NamedApp; readonly claims: readonly Claim[] }>()
  const below = new Map<string, number>()

  return {
    claim: app => {
      release(app.id)
      const claims = claimsOf(app.id, app.aliases)
      byApp.set(app.id, { app, claims })
      for (const claim of claims) {
        const others = byName.get(claim.name)
        byName.set(
          claim.name,
          others === undefined ? [claim] : [...others, claim].toSorted(compareClaims),
        )
        for (const ancestor of ancestorsOf(claim.name)) count(ancestor, 1)
      }
    },
    release,
    ownerOf,
    isReserved: name => {
      const [first] = byName.get(name) ?? []
      return !isServiceClaim(first) && reservedFor(name) !== undefined
    },
    hasBelow: name => below.has(name),
    homeOf: app => byApp.get(app)?.claims.find(isMet)?.name,
    namesOf: app => (byApp.get(app)?.claims ?? []).filter(isMet).map(({ name }) => name),
    conflicts: () => found().map(({ conflict }) => conflict),
    conflictsWith,
    found,
  }

  function found(): Found[] {
    return [...contested(), ...hidden()]
  }

  function ownerOf(name: string): AppId | undefined {
    return byName.get(name)?.[0]?.app
  }

  /** True for a claim that got its name. */
  function isMet(claim: Claim): boolean {
    const { name, app } = claim
    return ownerOf(name) === app && (isServiceClaim(claim) || reservedFor(name) === undefined)
  }

  function release(app: AppId): void {
    for (const { name } of byApp.get(app)?.claims ?? []) {
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

  function reservedFor(name: string): string | undefined {
    if (reserved.size === 0) return undefined
    const subdomain = name.slice(name.lastIndexOf('.') + 1)
    return reserved.get(subdomain)
  }

  function contested(): Found[] {
    return Array.from(byName, ([name, claims]) => {
      const reservedTo = reservedFor(name)
      const apps = claims.map(({ app }) => app)
      if (reservedTo === undefined || isServiceClaim(claims[0])) {
        return { conflict: { name, kept: apps[0]!, lost: apps.slice(1) }, apps }
      }
      return { conflict: { name, kept: reservedTo, lost: apps }, apps }
    }).filter(({ conflict }) => conflict.lost.length > 0)
  }

  /** Apps with a name such as `2.web`, where `web` is another app: it is that one's slot 2. */
  function hidden(): Found[] {
    return [...byName.keys()].flatMap(name => {
      const [label, parent] = splitFirst(name)
      const parentApp = parent === undefined ? undefined : ownerOf(parent)
      const app = ownerOf(name)!
      if (parentApp === undefined || parentApp === app) return []
      const kept = meaningOf(label, parentApp)
      return kept === undefined
        ? []
        : [{ conflict: { name, kept, lost: [app] }, apps: [parentApp, app] }]
    })
  }

  function conflictsWith(apps: readonly NamedApp[]): NameConflict[] {
    const ids = new Set(apps.map(({ id }) => id))
    const near = new Set<AppId>()
    // All who claim it: the owner may be one of `apps`, and give the name up.
    const addClaimants = (name: string): void => {
      for (const { app } of byName.get(name) ?? []) near.add(app)
    }
    const parents = new Set<string>()
    for (const { id, aliases } of apps) {
      for (const { name } of claimsOf(id, aliases)) {
        addClaimants(name)
        const [, parent] = splitFirst(name)
        if (parent !== undefined) addClaimants(parent)
        if (below.has(name)) parents.add(name)
      }
    }
    if (parents.size > 0) {
      for (const name of byName.keys())
        if (parents.has(splitFirst(name)[1] ?? '')) addClaimants(name)
    }
    const table = createTable(options)
    for (const id of near) if (!ids.has(id)) table.claim(byApp.get(id)!.app)
    for (const app of apps) table.claim(app)
    return table
      .found()
      .filter(({ apps: involved }) => involved.some(app => ids.has(app)))
      .map(({ conflict }) => conflict)
  }
}

/** Kubernetes' names are the only ones that lead into a reserved subdomain. */
function isServiceClaim(claim: Claim | undefined): boolean {
  return claim !== undefined && claim.rank <= RANK.serviceMade
}

function compareClaims(one: Claim, other: Claim): number {
  return one.rank - other.rank || (one.app < other.app ? -1 : 1)
}

function* ancestorsOf(name: string): Generator<string> {
  for (let [, rest] = splitFirst(name); rest !== undefined; [, rest] = splitFirst(rest)) yield rest
}
