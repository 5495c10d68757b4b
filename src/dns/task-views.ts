import type { AppBook } from './app-book.ts'
import type { DnsTask } from './dns-view.ts'

/** Which tasks a name is about. Two of them are prefixes of names: `all.web`, `near.web`. */
export type TaskView = 'serving' | 'all' | 'near'

/** The labels that, before a name, choose another view of it; `why` asks for its explanation. */
export const VIEW_LABELS: ReadonlyMap<string, TaskView | 'why'> = new Map([
  ['all', 'all'],
  ['near', 'near'],
  ['why', 'why'],
] as const)

/** What a label of {@link VIEW_LABELS} before a name means, in words. */
export const VIEW_WORDS: ReadonlyMap<string, string> = new Map([
  ['all', 'all tasks'],
  ['near', 'the nearest tasks'],
  ['why', 'the explanation'],
])

/**
 * The tasks that `view` shows by address: those that serve, those that run, or only the
 * nearest of those that serve. Addresses cannot say which is to be tried first, so the
 * farther ones are left out while there are nearer ones.
 */
export function tasksIn(view: TaskView, tasks: Iterable<DnsTask>, book: AppBook): DnsTask[] {
  if (view === 'all') return [...tasks].filter(({ running }) => running)
  const serving = [...tasks].filter(task => task.serving)
  if (view === 'serving') return serving
  const nearest = Math.min(...serving.map(task => book.distanceOf(task)))
  return serving.filter(task => book.distanceOf(task) === nearest)
}
