/**
 * Regular expressions of users, matched in time that grows with the text and not
 * with 2 to its power: `(a+)+b` against a long label must not stop every node of
 * the cluster, as it would in `RegExp`. The pattern becomes a small machine whose
 * states are all followed at once (Thompson 1968; Cox, "Regular Expression
 * Matching Can Be Simple And Fast"). Only single characters are left to `RegExp`.
 *
 * Lookaround, back references and word boundaries are the price: patterns with them match nothing.
 *
 * @module
 */

/** Steps of the largest machine; counted repetitions are written out, so `(x{99}){99}` is too large. */
const STEPS_MAX = 2_000
const PATTERNS_MAX = 500
const RESULTS_MAX = 10_000

type Step =
  | { readonly kind: 'char'; readonly accepts: (char: string) => boolean }
  | { readonly kind: 'split'; readonly to: readonly number[] }
  | { readonly kind: 'start' | 'end' | 'done' }

interface Compiled {
  readonly steps: readonly Step[]
  readonly results: Map<string, boolean>
}

const compiled = new Map<string, Compiled | undefined>()

/**
 * True when the whole of `text` matches, as `matches` of Java and so Marathon has it.
 *
 * @returns Nothing when the pattern cannot be read, because it is wrong, too large, or has what is not supported.
 */
export function matchesPattern(pattern: string, text: string): boolean | undefined {
  if (!compiled.has(pattern)) {
    if (compiled.size >= PATTERNS_MAX) compiled.clear()
    const steps = compile(pattern)
    compiled.set(pattern, steps && { steps, results: new Map() })
  }
  const machine = compiled.get(pattern)
  if (machine === undefined) return undefined
  let result = machine.results.get(text)
  if (result === undefined) {
    if (machine.results.size >= RESULTS_MAX) machine.results.clear()
    result = run(machine.steps, text)
    machine.results.set(text, result)
  }
  return result
}

function run(steps: readonly Step[], text: string): boolean {
  const chars = text.split('')
  let current = new Set<number>()
  follow(steps, 0, 0, chars.length, current)
  for (const [index, char] of chars.entries()) {
    const next = new Set<number>()
    for (const at of current) {
      const step = steps[at]!
      if (step.kind === 'char' && step.accepts(char)) {
        follow(steps, at + 1, index + 1, chars.length, next)
      }
    }
    current = next
  }
  return current.has(steps.length - 1)
}

/** Adds what can be reached from step `from` without reading, at `place` of a text of `length`. */
function follow(
  steps: readonly Step[],
  from: number,
  place: number,
  length: number,
  reached: Set<number>,
): void {
  const todo = [from]
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    if (reached.has(at)) continue
    reached.add(at)
    const step = steps[at]!
    if (step.kind === 'split') for (const offset of step.to) todo.push(at + offset)
    else if (step.kind === 'start' && place === 0) todo.push(at + 1)
    else if (step.kind === 'end' && place === length) todo.push(at + 1)
  }
}

/** A part of a machine. Splits count from themselves, so parts can be put together anywhere. */
type Part = Step[]

function compile(pattern: string): Step[] | undefined {
  try {
    void new RegExp(pattern)
    const reader = new Reader(pattern)
    const part = reader.alternatives()
    return reader.isAtEnd() ? [...part, { kind: 'done' }] : undefined
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return undefined
    throw error
  }
}

/** Recursive descent over a pattern that `RegExp` has found to be well formed. */
class Reader {
  readonly #pattern: string
  #at = 0

  constructor(pattern: string) {
    this.#pattern = pattern
  }

  isAtEnd(): boolean {
    return this.#at === this.#pattern.length
  }

  alternatives(): Part {
    const first = this.#sequence()
    if (!this.#takes('|')) return first
    const others = this.alternatives()
    const jump = split([others.length + 1])
    return bound([split([1, first.length + 2]), ...first, jump, ...others])
  }

  #sequence(): Part {
    const parts: Part = []
    while (!this.isAtEnd() && !'|)'.includes(this.#pattern[this.#at]!)) {
      parts.push(...this.#repeated())
      bound(parts)
    }
    return parts
  }

  #repeated(): Part {
    const part = this.#atom()
    const [text, symbol, low, comma, high] = this.#match(/([*+?]|\{(\d+)(?:(,)(\d*))?\})\??/y) ?? []
    if (text === undefined) return part
    if (symbol === '*') return repeat(part, 0, Infinity)
    if (symbol === '+') return repeat(part, 1, Infinity)
    if (symbol === '?') return repeat(part, 0, 1)
    const least = Number(low)
    const most = comma === undefined ? least : high === '' ? Infinity : Number(high)
    return repeat(part, least, most)
  }

  #atom(): Part {
    if (this.#takes('^')) return [{ kind: 'start' }]
    if (this.#takes('$')) return [{ kind: 'end' }]
    if (this.#match(/\((?:\?:|\?<\w+>|(?!\?))/y) !== undefined) {
      const inner = this.alternatives()
      if (!this.#takes(')')) throw new SyntaxError('unsupported group')
      return inner
    }
    const [single] =
      this.#match(/\.|\[(?:\\[^]|[^\]\\])*\]|\\(?:[dDwWsStnrfv]|[^\w\s])|[^\\()[*+?{|]/y) ?? []
    if (single === undefined) throw new SyntaxError('unsupported pattern')
    const test = new RegExp(`^${single}$`)
    return [{ kind: 'char', accepts: char => test.test(char) }]
  }

  #takes(char: string): boolean {
    if (this.#pattern[this.#at] !== char) return false
    this.#at++
    return true
  }

  #match(sticky: RegExp): RegExpExecArray | undefined {
    sticky.lastIndex = this.#at
    const found = sticky.exec(this.#pattern) ?? undefined
    if (found !== undefined) this.#at += found[0].length
    return found
  }
}

/** A split whose targets count from itself. */
function split(offsets: number[]): Step {
  return { kind: 'split', to: offsets }
}

function repeat(part: Part, least: number, most: number): Part {
  const all: Part = []
  for (let times = 0; times < least; times++) {
    all.push(...part)
    bound(all)
  }
  if (most === Infinity) {
    all.push(split([1, part.length + 2]), ...part, split([-part.length - 1]))
    return bound(all)
  }
  for (let times = least; times < most; times++) {
    all.push(split([1, part.length + 1]), ...part)
    bound(all)
  }
  return all
}

function bound(part: Part): Part {
  if (part.length > STEPS_MAX) throw new RangeError('pattern too large')
  return part
}
