import type { AppId } from '../model/ids.ts'

/**
 * What a label may be, as Mesos-DNS has it: `rfc1123` is its default, `rfc952` what it
 * calls `enforceRFC952`: 24 characters, the first a letter.
 */
export type LabelRule = 'rfc1123' | 'rfc952'

const RULES: Readonly<
  Record<LabelRule, { readonly lengthMax: number; readonly notFirst: RegExp }>
> = {
  rfc1123: { lengthMax: 63, notFirst: /^-+/ },
  rfc952: { lengthMax: 24, notFirst: /^[-0-9]+/ },
}

/**
 * Turns any name into one DNS label, as Mesos-DNS does, because its users have the
 * results in their configurations: letters in lower case; `.`, `_` and `-` become `-`;
 * everything else is dropped; no `-` at the ends. Where the cut lands behind a run of `-`
 * that is then trimmed, characters from beyond the cut fill the room.
 *
 * @returns An empty string when nothing usable is left.
 */
export function mangleLabel(name: string, rule: LabelRule = 'rfc1123'): string {
  const { lengthMax, notFirst } = RULES[rule]
  const mapped = name
    .replaceAll(/[A-Z]/g, letter => letter.toLowerCase())
    .replaceAll(/[._]/g, '-')
    .replaceAll(/[^a-z0-9-]/g, '')
    .replace(notFirst, '')
  const cut = mapped.slice(0, lengthMax)
  const head = cut.replace(/-+$/, '')
  if (head.length === cut.length) return head
  const beyond = mapped.slice(cut.length).replace(/^-+/, '')
  return head + beyond.slice(0, cut.length - head.length)
}

/** The names of an app below the zone's domain, by its id. */
export interface AppNames {
  /** The path, innermost first: `/shop/web` is `web.shop`. */
  readonly dotted: string
  /** The same as one label: `web-shop`. Marathon's users know it from Mesos-DNS. */
  readonly dashed: string
  /** True when `dotted` says the whole id: no label had to be cut. */
  readonly exact: boolean
}

/** Names `app` as Marathon and Mesos-DNS do: the path reversed, as labels and as one label. */
export function namesOfApp(app: AppId, rule: LabelRule = 'rfc1123'): AppNames {
  const reversed = reversedPath(app)
  const labels = reversed.split('.').map(label => mangleLabel(label))
  const dotted = labels.filter(label => label !== '').join('.')
  return { dotted, dashed: mangleLabel(reversed, rule), exact: dotted === reversed }
}

/** Where Kubernetes would have an app. */
export interface ServiceNames {
  /** The last part of the app's path. */
  readonly service: string
  /** What comes before it, as one label, innermost first; `default` where nothing does. */
  readonly namespace: string
  /** True when the Kubernetes importer gives this very service and namespace this id. */
  readonly exact: boolean
}

/**
 * Names `app` as Kubernetes does, by the rule of our importer turned around: `/web` is
 * the service `web` of the namespace `default`, `/shop/web` that of the namespace `shop`.
 * Deeper paths, which no importer makes, join what comes before: `/eu/shop/web` is in `shop-eu`.
 */
export function serviceNamesOf(app: AppId): ServiceNames {
  const [service, ...parents] = app.slice(1).split('/').toReversed()
  const namespace = parents.length === 0 ? 'default' : mangleLabel(parents.join('.'))
  const names = { service: mangleLabel(service!), namespace }
  const imported = namespace === 'default' ? `/${names.service}` : `/${namespace}/${names.service}`
  return { ...names, exact: imported === app }
}

function reversedPath(app: AppId): string {
  return app.slice(1).split('/').toReversed().join('.')
}
