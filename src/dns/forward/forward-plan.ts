import { isName } from '../wire.ts'
import { parseUpstream, UPSTREAMS_MAX, type Upstream } from './upstream.ts'

/** Who is asked about which domains. Plain data, so that threads can be given it. */
export interface ForwardPlan {
  /** Whom to ask when no zone below says another: `host` for whomever this machine asks itself, none for nobody. */
  readonly fallback: 'host' | readonly Upstream[]
  /** Whom to ask about a domain and all below it; with none, nobody. By name, in lower case. */
  readonly zones: ReadonlyMap<string, readonly Upstream[]>
}

const ROOT = ''

/** What {@link parseForwardPlan} takes, for messages to people. */
export const FORWARD_RULE =
  '"none", an IP address with or without a port (10.0.0.1, 10.0.0.1:5353, [::1]:5353), or one for a domain alone (corp.example=10.0.0.1, corp.example=none)'

/**
 * Reads what a person chose, one text for each choice. Several for one domain are
 * asked in their order. Without one for all domains, the host's resolvers are asked.
 *
 * @throws {RangeError} For a text that says nothing, with what it may be.
 */
export function parseForwardPlan(texts: readonly string[]): ForwardPlan {
  // The root stands for every domain that has no line of its own.
  const lists = new Map<string, Upstream[]>()
  for (const text of texts) {
    const [domain, target] = splitZone(text)
    const upstream = target === 'none' ? undefined : parseUpstream(target)
    if (domain === undefined || (upstream === undefined && target !== 'none')) {
      throw new RangeError(`must be ${FORWARD_RULE}, got ${text}`)
    }
    const list = lists.get(domain) ?? []
    if (upstream !== undefined) list.push(upstream)
    if (list.length > UPSTREAMS_MAX) {
      throw new RangeError(`names more than ${UPSTREAMS_MAX} resolvers for one domain`)
    }
    lists.set(domain, list)
  }
  const fallback = lists.get(ROOT) ?? 'host'
  lists.delete(ROOT)
  return { fallback, zones: lists }
}

/**
 * Whom to ask about `name`: the innermost zone decides.
 *
 * @param name In lower case, without the last dot.
 */
export function upstreamsFor(
  { fallback, zones }: ForwardPlan,
  name: string,
): ForwardPlan['fallback'] {
  if (zones.size === 0) return fallback
  for (let rest = name; ;) {
    const found = zones.get(rest)
    if (found !== undefined) return found
    const dot = rest.indexOf('.')
    if (dot < 0) return fallback
    rest = rest.slice(dot + 1)
  }
}

/** True when nobody is asked about anything: then we are no resolver, and do not say that we are one. */
export function asksNobody({ fallback, zones }: ForwardPlan): boolean {
  const lists = [...zones.values()]
  return fallback !== 'host' && fallback.length === 0 && lists.every(list => list.length === 0)
}

/** No domain where the text before `=` is no name. */
function splitZone(text: string): [domain: string | undefined, target: string] {
  const at = text.indexOf('=')
  if (at < 0) return [ROOT, text]
  const domain = text.slice(0, at).toLowerCase().replace(/\.$/, '')
  return [domain !== ROOT && isName(domain) ? domain : undefined, text.slice(at + 1)]
}
