import { appSchema, type AppInput, type AppSpec } from '../../src/model/app.ts'
import type { Desired, Edit } from '../../src/model/desired.ts'
import type { AppId } from '../../src/model/ids.ts'
import { createNodeKey, createVerify, type NodeKey } from '../../src/util/keys.ts'
import {
  createDesiredDoc,
  type DesiredDoc,
  type DesiredDocOptions,
  type EditResult,
} from '../../src/crdt/desired-doc.ts'

const verify = createVerify()

/** The key of test node `number`, 1 to 255. */
export function keyOf(number: number): NodeKey {
  return createNodeKey(new Uint8Array(32).fill(number))
}

/** A document of test node `number`, which is its client id too. */
export function docOf(number: number, options: Partial<DesiredDocOptions> = {}): DesiredDoc {
  const key = keyOf(number)
  return createDesiredDoc({
    self: key.node,
    clientId: number,
    sign: bytes => key.sign(bytes),
    verify,
    ...options,
  })
}

/** A valid app. */
export function appOf(id: string, fields: Partial<AppInput> = {}): AppSpec {
  return appSchema.parse({ id, image: 'web:1', ...fields })
}

/** Applies one app, and returns what to send. */
export function apply(doc: DesiredDoc, id: string, fields: Partial<AppInput> = {}): Uint8Array {
  return updateOf(edit(doc, { kind: 'apply', specs: [appOf(id, fields)], message: '' }))
}

/** Makes an edit at a time that means nothing. */
export function edit(doc: DesiredDoc, what: Edit): EditResult {
  return doc.edit(what, { timeMs: 1_700_000_000_000 })
}

/** The update of an edit that had to change something. */
export function updateOf(result: EditResult): Uint8Array {
  if (!result.ok) throw new Error(result.reason)
  if (result.update === undefined) throw new Error('The edit changed nothing')
  return result.update
}

/** Lets documents exchange what they lack, as anti-entropy does, until nobody lacks anything. */
export function exchange(...docs: readonly DesiredDoc[]): void {
  for (let round = 0; round < 10; round++) {
    let sent = 0
    for (const from of docs) {
      for (const to of docs) {
        const update = from.since(to.vector())
        if (update === undefined) continue
        sent++
        const applied = to.apply(update)
        if (!applied.ok) throw new Error(applied.reason)
      }
    }
    if (sent === 0) return
  }
  throw new Error('Anti-entropy does not end')
}

/** All that a document says, in a form that can be compared. */
export function show(doc: DesiredDoc): unknown {
  const { apps, nodes, settings } = doc.read()
  return {
    apps: [...apps],
    nodes: [...nodes],
    settings,
    conflicts: doc.conflicts(),
    histories: [...apps.keys()].map(app => doc.history(app)),
  }
}

/** The app `id` as it is now. */
export function get(
  doc: DesiredDoc,
  id: string,
): Desired['apps'] extends ReadonlyMap<AppId, infer A> ? A | undefined : never {
  return doc.read().apps.get(id as AppId)
}
