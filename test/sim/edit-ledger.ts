import type { Edit } from '../../src/model/desired.ts'
import type { AppId, RevisionId } from '../../src/model/ids.ts'
import type { EditResult, Effect, NodeEvent } from '../../src/node/machine/events.ts'
import { fromBytes } from '../../src/util/bytes.ts'
import type { SimHost } from './host.ts'

/** How much of each writer's log a document has. */
type Vector = ReadonlyMap<number, number>

/** An edit that somebody asked for, and what became of it. */
export interface AskedEdit {
  readonly request: number
  readonly host: SimHost
  readonly edit: Edit
  /** Which life of the host's daemon was asked. */
  readonly life: number
  result?: EditResult
  /** Where the edit is in its writer's log, and all that its author knew; nothing while it waits. */
  made?: {
    readonly client: number
    readonly clock: number
    readonly knew: Vector
    /** What the author saw after it: nothing for an app that is not wanted. */
    readonly saw: ReadonlyMap<AppId, { readonly revision: RevisionId; readonly instances: number }>
  }
  /** True when it was taken back, or was lost with a crash before anybody was told of it. */
  isVoid: boolean
}

/**
 * Remembers every edit and where it went into its author's log, so that it can be
 * said exactly whether it is in a document, and which edits were made knowing it.
 */
export class EditLedger {
  readonly edits: AskedEdit[] = []
  readonly #byRequest = new Map<number, AskedEdit>()
  readonly #waiting = new Map<SimHost, number[]>()

  ask(host: SimHost, edit: Edit): AskedEdit {
    const asked: AskedEdit = {
      request: this.edits.length + 1,
      host,
      edit,
      life: host.life,
      isVoid: false,
    }
    this.edits.push(asked)
    this.#byRequest.set(asked.request, asked)
    return asked
  }

  /** Notes what an event of a machine did to the edits made through it. */
  handled(host: SimHost, event: NodeEvent | 'settled', effects: readonly Effect[]): void {
    const isAsked = event !== 'settled' && event.kind === 'edited'
    if (!isAsked && effects.every(({ kind }) => kind !== 'reply' && kind !== 'persist')) return
    const waiting = this.#waiting.get(host) ?? []
    this.#waiting.set(host, waiting)
    const kind = event === 'settled' ? event : event.kind
    if (isAsked) waiting.push(event.request)
    const makesEdits = kind === 'edited' || kind === 'persisted' || kind === 'reloaded'
    let { clientId } = host.disk
    for (const effect of effects) {
      if (effect.kind === 'keep-client-id') clientId = effect.clientId
      if (effect.kind === 'persist' && makesEdits) {
        const asked = this.#byRequest.get(waiting.shift() ?? 0)
        if (asked !== undefined) asked.made = placeOf(host, clientId, asked.edit)
      } else if (effect.kind === 'reply') {
        const asked = this.#byRequest.get(effect.request)
        if (asked === undefined) continue
        asked.result = effect.result
        if (!effect.result.ok) asked.isVoid = true
        const place = waiting.indexOf(effect.request)
        if (place >= 0) waiting.splice(place, 1)
      }
    }
  }

  /** The daemon of a host is gone: nobody will answer what waits there. */
  ended(host: SimHost): void {
    this.#waiting.delete(host)
  }

  /** A host's daemon is there again: what it no longer has was never told to anybody, or was lost. */
  started(host: SimHost): string[] {
    const vector = vectorOf(host)
    const lost: string[] = []
    for (const asked of this.edits) {
      if (asked.host !== host || asked.isVoid || has(vector, asked)) continue
      asked.isVoid = true
      if (isAcknowledged(asked)) lost.push(`${host.name} lost ${describe(asked)} by a restart`)
    }
    return lost
  }

  /** A host's disk was put back to an older state: what was acknowledged as being only there may be gone, the rest must come back. */
  restored(host: SimHost): void {
    const vector = vectorOf(host)
    for (const asked of this.edits) {
      if (asked.host !== host || asked.isVoid || has(vector, asked)) continue
      const isElsewhere =
        isAcknowledged(asked) && asked.result?.ok === true && !asked.result.onlyHere
      if (!isElsewhere) asked.isVoid = true
    }
  }

  /** What is wrong with the documents of these hosts, as far as the edits are concerned. */
  check(hosts: readonly SimHost[]): string[] {
    const found: string[] = []
    for (const host of hosts) {
      const vector = vectorOf(host)
      for (const asked of this.edits) {
        if (!mustSurvive(asked) || has(vector, asked)) continue
        found.push(`${host.name} lacks ${describe(asked)}, which was acknowledged`)
      }
    }
    const [first] = hosts
    if (first === undefined) return found
    const vector = vectorOf(first)
    const survived = this.edits.filter(asked => !asked.isVoid && has(vector, asked))
    const apps = new Set(survived.flatMap(({ made }) => [...(made?.saw.keys() ?? [])]))
    for (const app of apps) found.push(...checkWinner(first, app, survived))
    return found
  }
}

/** What is in force for an app must come from an edit that nobody superseded who knew of it. */
function checkWinner(host: SimHost, app: AppId, survived: readonly AskedEdit[]): string[] {
  const now = host.machine!.doc.read().apps.get(app)
  const about = survived.filter(({ edit }) => appsOf(edit).includes(app))
  const versions = latest(about.filter(({ edit }) => edit.kind !== 'scale'))
  const wanted = versions.map(({ made }) => made?.saw.get(app)?.revision)
  const found: string[] = []
  if (!wanted.includes(now?.revision)) {
    const texts = versions.map(asked => describe(asked)).join(' or ')
    found.push(`${app} is at ${now?.revision}, but last came ${texts}`)
  }
  if (now === undefined || about.some(({ edit }) => edit.kind === 'remove')) return found
  const scales = latest(about).map(({ made }) => made?.saw.get(app)?.instances)
  if (!scales.includes(now.instances)) {
    found.push(`${app} has ${now.instances} instances, but last came ${scales.join(' or ')}`)
  }
  return found
}

/** Those that no other one of them knew of. */
function latest(edits: readonly AskedEdit[]): AskedEdit[] {
  return edits.filter(one => !edits.some(other => other !== one && has(other.made!.knew, one)))
}

function mustSurvive(asked: AskedEdit): boolean {
  if (!isAcknowledged(asked)) return false
  const isHere = asked.result?.ok === true && asked.result.onlyHere
  return !isHere || asked.host.state !== 'gone'
}

function isAcknowledged({ result, made }: AskedEdit): boolean {
  return made !== undefined && result?.ok === true && result.changed
}

function placeOf(host: SimHost, client: number, edit: Edit): NonNullable<AskedEdit['made']> {
  const knew = vectorOf(host)
  const { apps } = host.machine!.doc.read()
  const saw = new Map<AppId, { revision: RevisionId; instances: number }>()
  for (const app of appsOf(edit)) {
    const seen = apps.get(app)
    if (seen !== undefined) saw.set(app, seen)
  }
  return { client, clock: knew.get(client) ?? 0, knew, saw }
}

function appsOf(edit: Edit): AppId[] {
  switch (edit.kind) {
    case 'apply':
      return edit.specs.map(({ id }) => id)
    case 'scale':
    case 'remove':
      return [edit.app]
    case 'admit':
    case 'expel':
    case 'label':
    case 'mode':
    case 'settings':
      return []
  }
}

function describe({ request, host, edit }: AskedEdit): string {
  return `edit ${request} (${edit.kind} ${appsOf(edit).join(' ')} through ${host.name})`
}

/** True when a document with this vector has the edit; also when the edit was never made. */
function has(vector: Vector, { made }: AskedEdit): boolean {
  return made !== undefined && (vector.get(made.client) ?? 0) >= made.clock
}

/** How much of each log a host's document has. */
function vectorOf(host: SimHost): Vector {
  const rows = fromBytes(host.machine!.doc.vector()) as [
    client: number,
    clock: number,
    ...unknown[],
  ][]
  return new Map(rows.map(([client, clock]) => [client, clock]))
}
