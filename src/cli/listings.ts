import type {
  AppAnswer,
  AppLine,
  EventLine,
  NameConflictLine,
  ResolveAnswer,
  Stored,
  TaskLine,
  VerifyAnswer,
  WhyAnswer,
} from '../api/shapes.ts'
import { ago, count, note, say, sayTable } from './print.ts'

/** `shoal ls`. */
export function showApps(apps: readonly AppLine[]): void {
  if (apps.length === 0) return say('no apps yet: `shoal apply -f FILE` starts one')
  sayTable(
    ['APP', 'SERVING', 'RUNNING', 'WANTED', 'REVISION', 'WORK'],
    apps.map(app => [
      app.id,
      String(app.serving),
      String(app.running),
      app.mode === 'global' ? `${app.wanted} (global)` : String(app.wanted),
      app.updated < app.running
        ? `${app.revision.slice(0, 8)} (${app.updated} of ${app.running})`
        : app.revision.slice(0, 8),
      app.work.split('\n')[0]!.slice(0, 60),
    ]),
  )
}

/** `shoal ps`. */
export function showTasks(tasks: readonly TaskLine[], nowMs: number): void {
  if (tasks.length === 0) return say('no tasks')
  sayTable(
    ['SLOT', 'NODE', 'STATE', 'HEALTH', 'FOR', 'ADDRESS', 'MESSAGE'],
    tasks.map(task => [
      task.slot,
      task.node === '' ? '-' : task.node,
      task.lastKnown === true ? `${task.state}?` : task.state,
      task.health === 'none' ? '-' : task.health,
      ago(task.sinceMs, nowMs) || '-',
      addressOf(task),
      messageOf(task),
    ]),
  )
}

/** `shoal inspect`. */
export function showApp(app: AppAnswer, nowMs: number): void {
  say(`app        ${app.id}`)
  say(`revision   ${app.revision}`)
  say(`instances  ${app.instances}`)
  for (const name of app.names) say(`dns        ${name}`)
  say('')
  showTasks(app.tasks, nowMs)
  say('')
  sayTable(
    ['REVISION', 'NUMBER', 'BY', 'AGO', 'MESSAGE'],
    app.history.map(({ revision, generation, author, timeMs, message, lost }) => [
      revision,
      String(generation),
      author,
      ago(timeMs, nowMs),
      lost ? `lost against another edit at the same time. ${message}`.trim() : message,
    ]),
  )
  say('')
  say(JSON.stringify(app.spec, undefined, 2))
}

/** `shoal why`. */
export function showWhy({ slots, app }: WhyAnswer): void {
  if (slots.length === 0)
    return say(`${app} has no slots: it is scaled to 0, or no node may run it`)
  for (const { slot, summary, nodes } of slots) {
    say(`${slot}: ${summary}`)
    for (const { name, rank, verdict, reason } of nodes) {
      say(
        `  ${verdict === 'chosen' ? '✓' : verdict === 'eligible' ? '·' : '✗'} ${name} (rank ${rank}): ${reason}`,
      )
    }
  }
}

/** `shoal resolve`. */
export function showResolved(answer: ResolveAnswer): void {
  say(`; ${answer.name} ${answer.type} from ${answer.server}: ${answer.status}`)
  for (const { section, name, ttl, type, data, from } of answer.records) {
    say(`${name}. ${ttl} ${type} ${data} ; ${section === 'answer' ? '' : `${section}: `}${from}`)
  }
}

/** What every node's DNS server said: a line for each difference, and one for the whole. */
export function showVerified(answer: VerifyAnswer): void {
  const { servers, questions, apps, skipped, differences } = answer
  for (const { node, server, transport, name, type, problem } of differences) {
    say(`${node} (${server}, ${transport.toUpperCase()}): ${name} ${type} ${problem}`)
  }
  for (const { node, reason } of skipped) note(`${node} ${reason}: it was not asked`)
  if (apps.asked < apps.all) {
    note(`asked about ${apps.asked} of ${apps.all} apps: name one to ask about it`)
  }
  const asked = `${count(questions, 'question')} by UDP and TCP`
  if (differences.length === 0)
    say(`${count(servers.length, 'server')} answered ${asked} as this node would`)
  else
    note(
      `${count(differences.length, 'difference')} in the answers of ${count(servers.length, 'server')} to ${asked}`,
    )
}

/** Names that two things claim. */
export function showNameConflicts(conflicts: readonly NameConflictLine[]): void {
  sayTable(
    ['NAME', 'ANSWERS FOR', 'NOT FOR'],
    conflicts.map(({ name, kept, lost }) => [name, kept, lost.join(', ')]),
  )
}

/** A line of `shoal events`. */
export function showEvent({ timeMs, kind, subject, text }: EventLine): void {
  say(`${new Date(timeMs).toISOString()}  ${kind.padEnd(8)}  ${subject}  ${text}`)
}

/** What is only last known says so, because it reads like what is. */
function messageOf({ lastKnown, node, nodeVerdict, message }: TaskLine): string {
  const text = message.split('\n')[0]!
  if (lastKnown !== true) return text
  const known = `last known: ${node} is ${nodeVerdict}`
  return text === '' ? known : `${known}; ${text}`
}

function addressOf({ address, ports, state }: TaskLine): string {
  if (address === undefined || ports.length === 0 || state === 'failed') return '-'
  return ports
    .map(
      ({ hostPort, name }, index) =>
        `${index === 0 ? address : ''}:${hostPort}${name === '' ? '' : `(${name})`}`,
    )
    .join(' ')
}

/** Says when an edit is not yet safe from the loss of this machine. */
export function showStored({ onlyHere, on }: Stored): void {
  if (onlyHere) note(`only on this node (${on.join(', ')}): no other node has confirmed it yet`)
}
