import type { AppId } from '../model/ids.ts'
import { mangleLabel, namesOfApp, serviceNamesOf, type LabelRule } from './labels.ts'
import { LABEL_BYTES_MAX } from './records.ts'

/** An app's wish to be known by a name. */
export interface Claim {
  /** Below the zone's domain. */
  readonly name: string
  readonly app: AppId
  /** Of several claims to one name the lowest rank wins: see {@link RANK}. */
  readonly rank: number
}

/** What a claim rests on, the strongest first. */
export const RANK = {
  /** Kubernetes' name of the app whose id says just that. */
  service: 0,
  /** Kubernetes' name, made from another id or from an alias. */
  serviceMade: 1,
  /** The id itself. */
  id: 2,
  /** The id as one label, or cut to fit. */
  mangled: 3,
  /** Made to get around a limit. */
  made: 4,
  alias: 5,
} as const

/** The subdomain of the nodes' own names: `NODE.node.shoal`. */
export const NODE_LABEL = 'node'

/** The subdomain of Kubernetes' names: `SERVICE.NAMESPACE.svc.shoal`. */
export const SERVICE_LABEL = 'svc'

/** The subdomains that no app's id leads into. */
export const RESERVED: readonly string[] = [NODE_LABEL, SERVICE_LABEL]

/** All names that an app asks for in our own zone, best first: the first that it gets is what its slots hang below. */
export function ownClaims(app: AppId, aliases: readonly string[]): Claim[] {
  const { dotted, dashed, exact } = namesOfApp(app)
  const dottedRank = exact ? RANK.id : RANK.mangled
  const { service, namespace, exact: isService } = serviceNamesOf(app)
  const inNamespace = (label: string): string => `${label}.${namespace}.${SERVICE_LABEL}`
  return distinct(app, [
    { name: dashed, rank: dashed === dotted ? dottedRank : RANK.mangled },
    { name: dotted, rank: dottedRank },
    // `node` is where nodes are, so the app `/node` is found here.
    ...(RESERVED.includes(dashed) ? [{ name: `${dashed}-app`, rank: RANK.made }] : []),
    ...aliases.map(alias => ({ name: mangleLabel(alias), rank: RANK.alias })),
    ...(service === '' || namespace === ''
      ? []
      : [{ name: inNamespace(service), rank: isService ? RANK.service : RANK.serviceMade }]),
    ...aliases.map(alias => ({ name: inNamespace(mangleLabel(alias)), rank: RANK.serviceMade })),
  ])
}

/** The names of an app below `marathon.mesos`, where labels follow `rule`. */
export function mesosClaims(app: AppId, aliases: readonly string[], rule: LabelRule): Claim[] {
  const { dotted, dashed, exact } = namesOfApp(app, rule)
  return distinct(app, [
    { name: dashed, rank: dashed === dotted && exact ? RANK.id : RANK.mangled },
    { name: dotted, rank: exact ? RANK.id : RANK.mangled },
    ...aliases.map(alias => ({ name: mangleLabel(alias, rule), rank: RANK.alias })),
  ])
}

/** Each name once, by its first claim; and the longest ones also without their last character, because `_web` must fit a label too. */
function distinct(app: AppId, wanted: readonly Omit<Claim, 'app'>[]): Claim[] {
  const claims = new Map<string, Claim>()
  for (const { name, rank } of wanted) {
    if (name !== '' && !claims.has(name)) claims.set(name, { name, app, rank })
    const [first, rest] = splitFirst(name)
    if (first.length < LABEL_BYTES_MAX || rank <= RANK.serviceMade) continue
    const short = [first.slice(0, -1), ...(rest === undefined ? [] : [rest])].join('.')
    if (!claims.has(short)) claims.set(short, { name: short, app, rank: RANK.made })
  }
  return [...claims.values()]
}

/** The first label of a name, and what follows it. */
export function splitFirst(name: string): [first: string, rest: string | undefined] {
  const dot = name.indexOf('.')
  return dot < 0 ? [name, undefined] : [name.slice(0, dot), name.slice(dot + 1)]
}

/** True for `name` itself and everything below it. */
export function isWithin(name: string, ancestor: string): boolean {
  return name === ancestor || name.endsWith(`.${ancestor}`)
}
