import type { Admission, Desired } from '../../model/desired.ts'
import type { NodeMode } from '../../model/node-admin.ts'
import { SETTING_RULES } from '../../model/settings.ts'
import { isFinal, type Task } from '../../model/task.ts'
import type { ClusterEvent } from './events.ts'
import type { RecordStep } from './record-step.ts'

/** What is worth telling of the step from one version of a node's record to the next: every change of a task. */
export function tellingsOf({ before, after, tasks }: RecordStep, timeMs: number): ClusterEvent[] {
  const events: ClusterEvent[] = []
  const tell = (task: Task, text: string): void => {
    events.push({ timeMs, kind: 'task', subject: task.id, text: `${text} on ${after.name}` })
  }
  for (const { before: old, after: task } of tasks) {
    if (task === undefined) {
      if (!isFinal(old.state)) tell(old, 'stopped')
    } else if (old?.state !== task.state) tell(task, describe(task))
    else if (old.health !== task.health && task.state === 'running') tell(task, `is ${task.health}`)
  }
  if (before !== undefined && !before.leaving && after.leaving) {
    events.push({
      timeMs,
      kind: 'node',
      subject: after.name,
      text: 'is leaving, and hands its tasks over',
    })
  }
  return events
}

/**
 * What is worth telling of a change of the desired state: apps that came, changed and went, nodes
 * that were let in or out, what people say of a node, and settings.
 */
export function tellingsOfDesired(before: Desired, after: Desired, timeMs: number): ClusterEvent[] {
  const events: ClusterEvent[] = []
  const tell = (kind: 'app' | 'node' | 'document', subject: string, text: string): void => {
    events.push({ timeMs, kind, subject, text })
  }
  for (const [id, app] of after.apps) {
    const old = before.apps.get(id)
    if (old === undefined) tell('app', id, `is wanted (revision ${app.revision})`)
    else if (old.revision !== app.revision) tell('app', id, `goes to revision ${app.revision}`)
    else if (old.instances !== app.instances) {
      tell('app', id, `is scaled from ${old.instances} to ${app.instances}`)
    }
  }
  for (const id of before.apps.keys()) if (!after.apps.has(id)) tell('app', id, 'was removed')
  if (before.nodes !== after.nodes) tellNodes(before, after, tell)
  for (const { name } of SETTING_RULES) {
    const value = after.settings[name]
    if (before.settings[name] === value) continue
    tell('document', 'settings', value === undefined ? `${name} is unset` : `${name} is ${value}`)
  }
  return events
}

function tellNodes(
  before: Desired,
  after: Desired,
  tell: (kind: 'node', subject: string, text: string) => void,
): void {
  for (const [id, node] of after.nodes) {
    const old = before.nodes.get(id)
    if (old === undefined) tell('node', node.name, 'was admitted')
    else for (const text of changesOf(old, node)) tell('node', node.name, text)
  }
  for (const [id, { name }] of before.nodes) {
    if (!after.nodes.has(id)) tell('node', name, 'is admitted no more')
  }
}

const MODE_TELLINGS: Readonly<Record<NodeMode, string>> = {
  active: 'takes work again',
  cordoned: 'is cordoned: it keeps what it runs, and takes nothing new',
  drained: 'is drained: its tasks are handed over',
}

function changesOf(before: Admission, after: Admission): string[] {
  const texts = before.mode === after.mode ? [] : [MODE_TELLINGS[after.mode]]
  for (const [key, value] of Object.entries(after.labels)) {
    if (before.labels[key] !== value) texts.push(`is labelled ${key}=${value}`)
  }
  for (const key of Object.keys(before.labels)) {
    if (!Object.hasOwn(after.labels, key)) texts.push(`is labelled ${key} no more`)
  }
  return texts
}

function describe({ state, message }: Task): string {
  return message === '' ? state : `${state} (${message})`
}
