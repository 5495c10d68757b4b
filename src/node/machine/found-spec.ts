import type { DesiredDoc } from '../../crdt/desired-doc.ts'
import { appSchema, runtimeOf, type AppSpec } from '../../model/app.ts'
import { appOfSlot, type AppId } from '../../model/ids.ts'
import type { Capacity } from '../../model/node-record.ts'
import type { FoundTask } from '../../runtime/runtime.ts'
import { workDigest } from '../../util/work-digest.ts'

/**
 * The app of a found task: at its own revision where the history has it. Where it has
 * not, nobody knows what the task holds of the node: it is taken for all, so that
 * nothing starts beside it until it has gone, as it soon must.
 */
export function foundSpec(
  found: FoundTask,
  runtime: 'docker' | 'process',
  {
    doc,
    capacity,
  }: { readonly doc: Pick<DesiredDoc, 'read' | 'revision'>; readonly capacity: Capacity },
): { readonly spec: AppSpec; readonly isGuess: boolean } {
  const app = appOfSlot(found.slot)
  const known = doc.revision(app, found.revision)?.spec
  if (known !== undefined) return { spec: known, isGuess: false }
  const current = doc.read().apps.get(app)?.spec
  if (current !== undefined && workDigest(current) === found.work) {
    return { spec: current, isGuess: false }
  }
  const isLike = current !== undefined && runtimeOf(current) === runtime
  const spec = isLike ? current : bareSpec(app, runtime)
  return { isGuess: true, spec: { ...spec, resources: capacity } }
}

function bareSpec(app: AppId, runtime: 'docker' | 'process'): AppSpec {
  const work = runtime === 'docker' ? { image: 'unknown' } : { command: 'unknown' }
  return appSchema.parse({ id: app, ...work })
}
