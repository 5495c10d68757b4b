/** One test, as the run counts it. */
export interface Outcome {
  readonly kind: 'passed' | 'failed' | 'skipped'
  /** The names from the outermost test inwards, joined by ` › `. */
  readonly name: string
  /** What the test said of its failure, or why it was skipped; a few lines at most. */
  readonly detail: readonly string[]
}

/** What a file's output amounts to. */
export interface TapReport {
  readonly outcomes: readonly Outcome[]
  /** Lines that are not TAP (what the code under test printed); the last {@link KEPT_LINES}. */
  readonly stray: readonly string[]
  /** Whether the closing plan was seen: without it the process died half way. */
  readonly complete: boolean
}

/** Output and details are cut to this many lines, so that a chatty test cannot fill memory. */
export const KEPT_LINES = 200

/** What was read of one nesting level since the last point of the level above. */
interface Level {
  readonly tests: Outcome[]
  /** Assertions of the test around this level that failed, as lines to show. */
  readonly failures: string[]
  points: number
  skips: number
}

interface Point {
  readonly level: number
  readonly ok: boolean
  readonly name: string
  readonly directive: 'skip' | 'todo' | undefined
  readonly reason: string
  readonly detail: string[]
}

const POINT = /^( *)(not )?ok(?: \d+)?(?: - (.*))?$/
const PLAN = /^( *)1\.\.(\d+)(?: # ?(.*))?$/
const DIRECTIVE = /(?:^| )# (skip|todo)\b ?(.*)$/i
const TIME = / # time=[\d.]+m?s$/

/**
 * Reads what `tap` prints, line by line, into one {@link Outcome} per test. A test is an innermost
 * `t.test`, or an assertion made outside of any; assertions inside a test are not counted, but
 * one that fails or is skipped gives the test its detail. A test around others counts only when an
 * assertion of its own fails. Pure: the caller owns the process and the lines.
 */
export class TapReader {
  private readonly levels: Level[] = [emptyLevel()]
  private readonly stray: string[] = []
  private complete = false
  private point: Point | undefined
  private yamlIndent: string | undefined

  /** Takes one line, without its line break. */
  readLine(line: string): void {
    if (this.yamlIndent !== undefined) return this.readYaml(line)
    if (this.point !== undefined && line === `${' '.repeat(this.point.level * 4)}  ---`) {
      this.yamlIndent = line.slice(0, -3)
      return
    }
    const point = parsePoint(line)
    if (point !== undefined) {
      this.settle()
      this.point = point
      return
    }
    const plan = PLAN.exec(line)
    if (plan !== null) return this.readPlan(plan)
    if (line.startsWith('Bail out!')) this.bail(line)
    else if (line.trim() !== '' && !/^ *(#|TAP version)/.test(line)) keep(this.stray, line)
  }

  /** Gives the report; call it once, after the last line. */
  end(): TapReport {
    this.settle()
    return { outcomes: this.level(0).tests, stray: this.stray, complete: this.complete }
  }

  private readYaml(line: string): void {
    const indent = this.yamlIndent ?? ''
    if (line === `${indent}...`) this.yamlIndent = undefined
    else keep(this.point?.detail ?? [], line.slice(indent.length))
  }

  private readPlan([, indent = '', count = '0', reason = '']: readonly (
    | string
    | undefined
  )[]): void {
    this.settle()
    if (indent !== '') return
    this.complete = true
    if (count === '0' && reason !== '') {
      this.level(0).tests.push({ kind: 'skipped', name: 'the whole file', detail: [reason] })
    }
  }

  private bail(line: string): void {
    this.settle()
    this.level(0).tests.push({ kind: 'failed', name: line, detail: [] })
  }

  private level(depth: number): Level {
    return (this.levels[depth] ??= emptyLevel())
  }

  /** Counts the point read last, now that its detail is known, with what was nested in it. */
  private settle(): void {
    const { point } = this
    if (point === undefined) return
    this.point = undefined
    const inner = this.levels[point.level + 1] ?? emptyLevel()
    this.levels.length = point.level + 1
    const level = this.level(point.level)
    level.points++
    for (const test of inner.tests) {
      level.tests.push({ ...test, name: `${point.name} › ${test.name}` })
    }

    const { name, detail } = point
    if (point.directive !== undefined) {
      level.skips++
      level.tests.push({ kind: 'skipped', name, detail: [point.reason || point.directive] })
    } else if (inner.points > 0) {
      const kind = judge(point, inner)
      const lines = inner.failures.length > 0 ? inner.failures : detail
      if (kind !== undefined)
        level.tests.push({ kind, name, detail: kind === 'failed' ? lines : [] })
    } else if (point.level === 0) {
      level.tests.push({ kind: point.ok ? 'passed' : 'failed', name, detail })
    } else if (!point.ok) {
      for (const line of [name, ...detail.map(text => `  ${text}`)]) keep(level.failures, line)
    }
  }
}

function emptyLevel(): Level {
  return { tests: [], failures: [], points: 0, skips: 0 }
}

/** What a test with assertions or tests in it adds of its own to what is nested in it. */
function judge({ ok }: Point, inner: Level): 'passed' | 'failed' | undefined {
  if (inner.failures.length > 0) return 'failed'
  if (!ok) return inner.tests.some(({ kind }) => kind === 'failed') ? undefined : 'failed'
  const innermost = inner.tests.every(({ kind }) => kind === 'skipped')
  return innermost && inner.points > inner.skips ? 'passed' : undefined
}

function parsePoint(line: string): Point | undefined {
  const match = POINT.exec(line)
  if (match === null) return undefined
  const [, indent = '', not, text = ''] = match
  if (indent.length % 4 !== 0) return undefined
  const directive = DIRECTIVE.exec(text)
  const name = directive === null ? text.replace(TIME, '') : text.slice(0, directive.index)
  return {
    level: indent.length / 4,
    ok: not === undefined,
    name: name.replaceAll('\\#', '#').trim(),
    directive:
      directive === null ? undefined : directive[1]?.toLowerCase() === 'skip' ? 'skip' : 'todo',
    reason: directive?.[2]?.replaceAll('\\#', '#').trim() ?? '',
    detail: [],
  }
}

function keep(lines: string[], line: string): void {
  lines.push(line)
  if (lines.length > KEPT_LINES) lines.shift()
}
