import type { AppId } from '../model/ids.ts'
import type { DnsApp, DnsNode } from './dns-view.ts'
import type { Zone } from './zone.ts'

/**
 * One change of a zone, as plain data: what is worked out on the main thread
 * reaches the zones of the threads that answer in these, each as small as what
 * changed.
 */
export type ZoneChange =
  | { readonly kind: 'app'; readonly app: DnsApp }
  | { readonly kind: 'app-removed'; readonly app: AppId }
  | { readonly kind: 'nodes'; readonly nodes: readonly DnsNode[] }

/** Makes `change` in `zone`. Each adds at most one to the zone's serial. */
export function applyChange(zone: Zone, change: ZoneChange): void {
  switch (change.kind) {
    case 'app':
      zone.update(change.app)
      break
    case 'app-removed':
      zone.remove(change.app)
      break
    case 'nodes':
      zone.setNodes(change.nodes)
  }
}

/**
 * The changes that make an empty zone equal to one that had them all: for a
 * thread that is started when the zone has been filled. Holds what the zone
 * holds, and no history.
 */
export interface ZoneLog {
  add(change: ZoneChange): void
  /** Nodes first, then apps in the order that they came. */
  changes(): ZoneChange[]
}

/** Makes an empty log. */
export function createZoneLog(): ZoneLog {
  const apps = new Map<AppId, ZoneChange>()
  let nodes: ZoneChange | undefined
  return {
    add: change => {
      if (change.kind === 'nodes') nodes = change
      else if (change.kind === 'app') apps.set(change.app.id, change)
      else apps.delete(change.app)
    },
    changes: () => [...(nodes === undefined ? [] : [nodes]), ...apps.values()],
  }
}
