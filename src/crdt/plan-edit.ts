import { APP_SIZE_BYTES_MAX, INSTANCES_MAX, type AppSpec } from '../model/app.ts'
import type { Edit } from '../model/desired.ts'
import type { AppId, RevisionId } from '../model/ids.ts'
import type { InForce } from './app-history.ts'
import type { EntryPlace } from './entry-log.ts'
import { refuse, type EditedRevision, type EditPlan, type EditScene } from './edit-plan.ts'
import { compareEntries, type Entry, type Fact } from './entry.ts'
import type { AppFacts } from './fact-index.ts'
import { planAdmit, planExpel, planLabel, planMode } from './plan-node-edit.ts'
import { planSettings } from './plan-settings.ts'
import { isSameSpec, MESSAGE_LENGTH_MAX, signRevision } from './revision-codec.ts'

/** Most revisions of an app that are kept, the one in force included. */
export const HISTORY_MAX = 10

/** Works out an edit against what this node knows now. Changes nothing. */
export function planEdit(edit: Edit, scene: EditScene): EditPlan {
  switch (edit.kind) {
    case 'apply':
      return planApply(edit.specs, edit.message, scene)
    case 'scale':
      return planScale(edit.app, edit.instances, scene)
    case 'remove':
      return planRemove(edit.app, scene)
    case 'admit':
      return planAdmit(edit.node, edit.name, scene)
    case 'expel':
      return planExpel(edit.node, scene)
    case 'label':
      return planLabel(edit, scene)
    case 'mode':
      return planMode(edit.node, edit.mode, scene)
    case 'settings':
      return planSettings(edit.set, scene)
  }
}

function planApply(specs: readonly AppSpec[], message: string, scene: EditScene): EditPlan {
  if (message.length > MESSAGE_LENGTH_MAX) {
    return refuse(
      `Cannot apply: the message must have at most ${MESSAGE_LENGTH_MAX} characters, got ${message.length}`,
    )
  }
  const seen = new Set<AppId>()
  for (const spec of specs) {
    if (seen.has(spec.id)) return refuse(`Cannot apply app "${spec.id}": it is given twice`)
    seen.add(spec.id)
    const sizeBytes = Buffer.byteLength(JSON.stringify(spec))
    if (sizeBytes > APP_SIZE_BYTES_MAX) {
      return refuse(
        `Cannot apply app "${spec.id}": it must have at most ${APP_SIZE_BYTES_MAX} bytes as JSON, got ${sizeBytes}`,
      )
    }
  }
  const plans = specs.map(spec => planSpec(spec, message, scene))
  return {
    ok: true,
    facts: plans.flatMap(plan => plan.facts),
    drops: plans.flatMap(plan => plan.drops),
    revisions: plans.map(plan => plan.revision),
  }
}

function planSpec(
  spec: AppSpec,
  message: string,
  { index, inForce, self, sign, timeMs }: EditScene,
): { facts: readonly Fact[]; drops: readonly EntryPlace[]; revision: EditedRevision } {
  const app = spec.id
  const force = inForce(app)
  const current = force?.revision
  if (current !== undefined && isSameSpec(current.spec, spec)) {
    return { facts: [], drops: [], revision: { app, revision: current.id } }
  }
  const facts = index.apps.get(app)
  const { parent, generation } = parentOf(facts, force)
  const author = self
  const revision = signRevision(
    { app, parent, generation: generation + 1, spec, author, timeMs, message },
    sign,
  )
  // Somebody who changes the number in the file means it. Left alone, it is not theirs:
  // an autoscaler or `shoal scale` may have the say.
  const scales = current !== undefined && current.spec.instances !== spec.instances
  const keptScales = scales || current === undefined ? 0 : 1
  return {
    facts: [
      revision,
      { kind: 'app', app, value: { revision: revision.id, parent } },
      ...(scales ? [{ kind: 'scale', app, value: spec.instances } as const] : []),
    ],
    drops: [
      ...(facts?.pointers ?? []),
      ...(facts?.scales.slice(keptScales) ?? []),
      ...revisionsOf(facts).slice(HISTORY_MAX - 1),
    ],
    revision: { app, revision: revision.id },
  }
}

/** What a new revision follows. One whose parent is no longer kept starts a new line. */
function parentOf(
  facts: AppFacts | undefined,
  force: InForce | undefined,
): { parent: RevisionId | null; generation: number } {
  const named = force?.revision?.id ?? force?.pointer.value.parent ?? null
  const stored = named === null ? undefined : facts?.revisions.get(named)?.[0]
  return stored === undefined
    ? { parent: null, generation: 0 }
    : { parent: named, generation: stored.value.generation }
}

function planScale(app: AppId, instances: number, { index, inForce }: EditScene): EditPlan {
  const current = inForce(app)?.revision
  if (current === undefined) return refuse(`Cannot scale app "${app}": there is no such app`)
  if (current.spec.mode === 'global') {
    return refuse(`Cannot scale app "${app}": it is global, and runs once on each node`)
  }
  if (!Number.isInteger(instances) || instances < 0 || instances > INSTANCES_MAX) {
    return refuse(
      `Cannot scale app "${app}": instances must be a whole number from 0 to ${INSTANCES_MAX}, got ${instances}`,
    )
  }
  const revisions = [{ app, revision: current.id }]
  const scales = index.apps.get(app)?.scales ?? []
  const now = scales[0]?.value ?? current.spec.instances
  if (now === instances) return { ok: true, facts: [], drops: [], revisions }
  return { ok: true, facts: [{ kind: 'scale', app, value: instances }], drops: scales, revisions }
}

function planRemove(app: AppId, scene: EditScene): EditPlan {
  const current = scene.inForce(app)?.revision
  if (current === undefined) return refuse(`Cannot remove app "${app}": there is no such app`)
  const facts = scene.index.apps.get(app)
  return {
    ok: true,
    facts: [{ kind: 'app', app, value: { revision: null, parent: current.id } }],
    drops: [
      ...(facts?.pointers ?? []),
      ...(facts?.scales ?? []),
      ...revisionsOf(facts).filter(({ id }) => id !== current.id),
      ...forgottenApps(scene),
    ],
    revisions: [],
  }
}

/** All revisions of an app that are kept, the newest by Lamport time first. */
function revisionsOf(facts: AppFacts | undefined): Entry<'rev'>[] {
  return [...(facts?.revisions.values() ?? [])].flat().toSorted(compareEntries)
}

/** Entries of the apps that were removed longest ago, to make room for one more. */
function forgottenApps({ index, tombstonesMax }: EditScene): EntryPlace[] {
  if (index.apps.size < tombstonesMax) return []
  return [...index.apps.values()]
    .map(facts => ({ facts, pointer: facts.pointers[0] }))
    .filter(({ pointer }) => pointer !== undefined && pointer.value.revision === null)
    .toSorted((one, other) => compareEntries(one.pointer!, other.pointer!))
    .slice(tombstonesMax - 1)
    .flatMap(({ facts }) => [...facts.pointers, ...facts.scales, ...revisionsOf(facts)])
}
