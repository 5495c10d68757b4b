import type { Edit } from '../model/desired.ts'
import type { NodeId } from '../model/ids.ts'
import {
  isNodeLabelKey,
  isNodeLabelValue,
  NODE_LABEL_KEY_RULE,
  NODE_LABEL_VALUE_MAX,
  NODE_LABELS_MAX,
  type NodeMode,
} from '../model/node-admin.ts'
import { refuse, type EditPlan, type EditScene } from './edit-plan.ts'
import type { EntryPlace } from './entry-log.ts'
import { compareEntries, NODE_NAME_LENGTH_MAX, type Fact } from './entry.ts'
import type { NodeFacts } from './fact-index.ts'

const NOTHING: EditPlan = { ok: true, facts: [], drops: [], revisions: [] }

/** Lets a node in, or gives it another name. One that was expelled before comes without what was said of it then. */
export function planAdmit(
  node: NodeId,
  name: string,
  { index, self, timeMs }: EditScene,
): EditPlan {
  if (name.length > NODE_NAME_LENGTH_MAX) {
    return refuse(
      `Cannot admit node ${node}: its name must have at most ${NODE_NAME_LENGTH_MAX} characters, got ${name.length}`,
    )
  }
  const known = index.nodes.get(node)
  const admission = known?.admissions[0]?.value ?? null
  if (admission?.name === name) return NOTHING
  return {
    ok: true,
    facts: [{ kind: 'node', node, value: { by: self, name, timeMs } }],
    drops: [...(known?.admissions ?? []), ...(admission === null ? saidOf(known) : [])],
    revisions: [],
  }
}

/** Takes a node off the list, with all that was said of it. */
export function planExpel(node: NodeId, scene: EditScene): EditPlan {
  const known = admitted(node, scene)
  if (known === undefined) return refuse(`Cannot expel node ${node}: it is not admitted`)
  return {
    ok: true,
    facts: [{ kind: 'node', node, value: null }],
    drops: [...known.admissions, ...saidOf(known), ...forgottenNodes(scene)],
    revisions: [],
  }
}

/**
 * Labels a node. Every key is a register of its own, so two people who label one node at
 * once both have their way. To unset is to delete what was seen: a value that
 * somebody set at the same time stays, and nothing has to remember the unset key.
 */
export function planLabel(
  { node, set, unset }: Extract<Edit, { readonly kind: 'label' }>,
  scene: EditScene,
): EditPlan {
  const known = admitted(node, scene)
  const name = known?.admissions[0]?.value?.name ?? node
  const refused = (reason: string): EditPlan => refuse(`Cannot label node ${name}: ${reason}`)
  if (known === undefined) return refused('it is not admitted')
  const pairs = Object.entries(set)
  for (const [key, value] of pairs) {
    if (!isNodeLabelKey(key)) return refused(`a key must be ${NODE_LABEL_KEY_RULE}, got ${key}`)
    if (!isNodeLabelValue(value)) {
      return refused(
        `the value of ${key} must be one line of at most ${NODE_LABEL_VALUE_MAX} characters`,
      )
    }
    if (unset.includes(key)) return refused(`${key} cannot be set and unset at once`)
  }
  const changed = pairs.filter(([key, value]) => known.labels.get(key)?.[0]?.value !== value)
  const gone = new Set(unset.filter(key => known.labels.has(key)))
  const count = new Set([...known.labels.keys(), ...pairs.map(([key]) => key)]).size - gone.size
  if (changed.length > 0 && count > NODE_LABELS_MAX) {
    return refused(`it would have ${count} labels, more than ${NODE_LABELS_MAX}`)
  }
  return {
    ok: true,
    facts: changed.map(([key, value]): Fact => ({ kind: 'label', node, key, value })),
    drops: [...changed.map(([key]) => key), ...gone].flatMap(key => known.labels.get(key) ?? []),
    revisions: [],
  }
}

/** Cordons a node, drains it, or lets it take work again: like a label, `active` is where nobody says otherwise. */
export function planMode(node: NodeId, mode: NodeMode, scene: EditScene): EditPlan {
  const known = admitted(node, scene)
  if (known === undefined) return refuse(`Cannot make node ${node} ${mode}: it is not admitted`)
  if ((known.modes[0]?.value ?? 'active') === mode) return NOTHING
  const facts: Fact[] = mode === 'active' ? [] : [{ kind: 'mode', node, value: mode }]
  return { ok: true, facts, drops: known.modes, revisions: [] }
}

/** What is known of a node that may take part; nothing for any other. */
function admitted(node: NodeId, { index }: EditScene): NodeFacts | undefined {
  const known = index.nodes.get(node)
  return (known?.admissions[0]?.value ?? null) === null ? undefined : known
}

/** What people said of a node beside letting it in. */
function saidOf(known: NodeFacts | undefined): EntryPlace[] {
  return [...(known?.modes ?? []), ...(known?.labels.values() ?? [])].flat()
}

/** Entries of the nodes that were expelled longest ago, to make room for one more. */
function forgottenNodes({ index, tombstonesMax }: EditScene): EntryPlace[] {
  if (index.nodes.size < tombstonesMax) return []
  return [...index.nodes.values()]
    .map(facts => ({ facts, winner: facts.admissions[0] }))
    .filter(({ winner }) => winner !== undefined && winner.value === null)
    .toSorted((one, other) => compareEntries(one.winner!, other.winner!))
    .slice(tombstonesMax - 1)
    .flatMap(({ facts }) => [...facts.admissions, ...saidOf(facts)])
}
