/** What people set for the whole cluster. A setting that is absent follows its default rule. */
export interface ClusterSettings {
  /**
   * Most slots that may begin to move to another node in a minute, where nothing forces them.
   *
   * @default A tenth of all slots, at least four: a healthy cluster is never all on the move,
   * and a small one is done in a minute. Higher evens out sooner, lower disturbs less.
   */
  readonly moveBudgetPerMinute?: number
}

/** The name of a cluster setting. */
export type SettingName = keyof ClusterSettings

/** What a setting may be and what it follows when nobody set it, in words for people. */
export interface SettingRule {
  readonly name: SettingName
  readonly min: number
  readonly max: number
  /** What holds while the setting is absent: `a tenth of all slots, at least 4`. */
  readonly defaultRule: string
}

/** Every cluster setting, in the order in which they are listed. */
export const SETTING_RULES: readonly SettingRule[] = [
  {
    name: 'moveBudgetPerMinute',
    min: 1,
    max: 10_000,
    defaultRule: 'a tenth of all slots, at least 4',
  },
]

/** The rule of the setting with this name; nothing when there is no such setting. */
export function settingRuleOf(name: string): SettingRule | undefined {
  return SETTING_RULES.find(rule => rule.name === name)
}

/** True for a value that the setting may have. */
export function isSettingValue({ min, max }: SettingRule, value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
}
