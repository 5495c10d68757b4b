import type { Constraint } from '../model/app.ts'
import type { PlacementApp, PlacementNode } from './input.ts'
import { matchesPattern } from './pattern.ts'

/** True for the fields that name the node itself. Counting per value of such a field is counting per node. */
export function isHostname(field: string): boolean {
  return field === '@hostname' || field === 'hostname'
}

/** What `node` has for a constraint's field: its name, or a label (`@zone` is label `zone`, `@region` label `region`). */
export function attributeOf(node: PlacementNode, field: string): string | undefined {
  if (isHostname(field)) return node.name
  const label = field === '@zone' || field === '@region' ? field.slice(1) : field
  return Object.hasOwn(node.labels, label) ? node.labels[label] : undefined
}

/**
 * Why a node can never hold a slot of such an app, whatever else runs on it; nothing if it can.
 *
 * A missing attribute refuses, except that UNLIKE accepts it, as in Marathon.
 * What depends on the app's other slots (UNIQUE, MAX_PER, GROUP_BY, and CLUSTER
 * without a value) is only checked for having the attribute. Nor does it depend on a cordon,
 * which is a matter of each slot: so a cordon changes nothing for the slots of other nodes.
 */
export function staticRefusal(
  { runtime, constraints }: Pick<PlacementApp, 'runtime' | 'constraints'>,
  node: PlacementNode,
): string | undefined {
  if (node.mode === 'drained') return 'is drained, and takes nothing'
  if (node.mode === 'leaving') return 'is leaving, and takes nothing'
  if (!node.runtimes[runtime]) {
    return runtime === 'docker' ? 'has no Docker engine' : 'runs no plain processes'
  }
  for (const constraint of constraints) {
    const actual = attributeOf(node, constraint.field)
    if (isMet(constraint, actual)) continue
    if (!isReadable(constraint)) {
      return `constraint ${formatConstraint(constraint)}: cannot read the pattern (no lookaround, back references or \\b)`
    }
    const has = actual === undefined ? `has no ${constraint.field}` : `has ${actual}`
    return `constraint ${formatConstraint(constraint)}: this node ${has}`
  }
  return undefined
}

/** Prints a constraint as people write it: `@zone IS eu-1`. */
export function formatConstraint({ field, operator, value }: Constraint): string {
  return [field, operator, value].filter(part => part !== undefined).join(' ')
}

function isMet({ operator, value }: Constraint, actual: string | undefined): boolean {
  if (actual === undefined) return operator === 'UNLIKE'
  switch (operator) {
    case 'UNIQUE':
    case 'GROUP_BY':
    case 'MAX_PER':
      return true
    case 'CLUSTER':
      return value === undefined || actual === value
    case 'LIKE':
      return matchesPattern(value ?? '', actual) === true
    case 'UNLIKE':
      return matchesPattern(value ?? '', actual) === false
    case 'IS':
      return actual === value || isSameScalar(actual, value ?? '')
  }
}

function isReadable({ operator, value }: Constraint): boolean {
  const hasPattern = operator === 'LIKE' || operator === 'UNLIKE'
  return !hasPattern || matchesPattern(value ?? '', '') !== undefined
}

const SCALAR = /^-?\d{1,12}(?:\.\d{1,12})?$/

/** Scalars are equal to a thousandth, as in Marathon and Mesos. */
function isSameScalar(one: string, other: string): boolean {
  if (!SCALAR.test(one) || !SCALAR.test(other)) return false
  return Math.round(Number(one) * 1000) === Math.round(Number(other) * 1000)
}
