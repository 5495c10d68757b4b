import type { AppId } from '../model/ids.ts'
import { LABEL_BYTES_MAX } from './records.ts'

/**
 * Turns any name into one DNS label, by the same rule as Mesos-DNS (its RFC 1123
 * variant), because its users have the results in their configurations: letters
 * in lower case; `.`, `_` and `-` become `-`; everything else is dropped; no `-`
 * at the ends; at most 63 characters. Where the cut lands behind a run of `-`
 * that is then trimmed, characters from beyond the cut fill the room.
 *
 * @returns An empty string when nothing usable is left.
 */
export function mangleLabel(name: string): string {
  const mapped = name
    .replaceAll(/[A-Z]/g, letter => letter.toLowerCase())
    .replaceAll(/[._]/g, '-')
    .replaceAll(/[^a-z0-9-]/g, '')
    .replace(/^-+/, '')
  const cut = mapped.slice(0, LABEL_BYTES_MAX)
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
export function namesOfApp(app: AppId): AppNames {
  const reversed = app.slice(1).split('/').toReversed().join('.')
  const labels = reversed.split('.').map(mangleLabel)
  const dotted = labels.filter(label => label !== '').join('.')
  return { dotted, dashed: mangleLabel(reversed), exact: dotted === reversed }
}
