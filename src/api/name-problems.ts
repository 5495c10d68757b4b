import type { AppSpec } from '../model/app.ts'
import type { Problem } from '../model/problem.ts'
import type { NodeService } from '../node/service.ts'

/** Conflicts that one edit is told of, one by one. */
const TOLD_MAX = 20

/**
 * What to tell the author of `apps` about names in DNS that two things claim. Warnings and not errors:
 * each app has other names, and two people on two sides of a split can make the same conflict
 * where nobody can refuse it. Who gets a name is settled by the ids alone.
 */
export function nameProblems(service: NodeService, apps: readonly AppSpec[]): Problem[] {
  const conflicts = service.dns.conflictsWith(apps)
  const problems = conflicts.slice(0, TOLD_MAX).map(({ name, kept, lost }) => {
    const losers =
      lost.slice(0, 3).join(', ') + (lost.length > 3 ? ` and ${lost.length - 3} more` : '')
    return warning(
      `the name ${name} in DNS is ${ownerOf(kept)}: ${losers} must be asked for by another name (\`shoal inspect\` lists them)`,
    )
  })
  const rest = conflicts.length - problems.length
  if (rest > 0)
    problems.push(warning(`${rest} more names in DNS are in conflict: \`shoal dns conflicts\``))
  return problems
}

function ownerOf(kept: string): string {
  return kept.startsWith('/') ? `that of ${kept}` : `for ${kept}`
}

function warning(message: string): Problem {
  return { severity: 'warning', file: '', path: '', message }
}
