import type { Edit } from '../model/desired.ts'
import { isSettingValue, settingRuleOf } from '../model/settings.ts'
import { refuse, type EditPlan, type EditScene } from './edit-plan.ts'
import type { EntryPlace } from './entry-log.ts'
import type { Fact } from './entry.ts'

/** Changes cluster settings, each a register of its own; `default` deletes what was set, as unsetting a label does. */
export function planSettings(
  set: Extract<Edit, { readonly kind: 'settings' }>['set'],
  { index }: EditScene,
): EditPlan {
  const facts: Fact[] = []
  const drops: EntryPlace[] = []
  for (const [name, value] of Object.entries(set)) {
    const rule = settingRuleOf(name)
    if (rule === undefined) return refuse(`Cannot set ${name}: there is no such setting`)
    const known = index.settings.get(rule.name) ?? []
    if (value === 'default') {
      drops.push(...known)
      continue
    }
    if (!isSettingValue(rule, value)) {
      return refuse(
        `Cannot set ${name}: it must be a whole number from ${rule.min} to ${rule.max}, or default, got ${String(value)}`,
      )
    }
    if (known[0]?.value === value) continue
    facts.push({ kind: 'setting', name: rule.name, value })
    drops.push(...known)
  }
  return { ok: true, facts, drops, revisions: [] }
}
