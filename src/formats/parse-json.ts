import type { Problem } from '../model/problem.ts'
import { show } from './finding.ts'
import {
  DEPTH_MAX,
  VALUES_MAX,
  type Entry,
  type ParsedSource,
  type SourceNode,
} from './source-node.ts'

/** Thrown and caught in this file only: one syntax error ends the reading. */
class SyntaxProblem extends Error {}

/**
 * Reads one JSON text (RFC 8259), keeping the lines. Stricter than `JSON.parse`:
 * a key may stand only once. Written here because neither `JSON.parse` nor the
 * YAML parser (which takes JSON too) tells people in JSON's own words, with a
 * line, what is wrong.
 */
export function parseJson(file: string, text: string): ParsedSource {
  const scanner = new Scanner(text)
  try {
    return { documents: [scanner.document()], problems: [] }
  } catch (error) {
    if (!(error instanceof SyntaxProblem)) throw error
    const problem: Problem = {
      severity: 'error',
      file,
      line: scanner.line,
      path: '',
      message: error.message,
    }
    return { documents: [], problems: [problem] }
  }
}

class Scanner {
  readonly #text: string
  #at = 0
  #values = 0
  line = 1

  constructor(text: string) {
    this.#text = text
    if (text.startsWith('\uFEFF')) this.#at = 1
  }

  document(): SourceNode {
    const node = this.#value(0)
    this.#space()
    if (this.#at < this.#text.length) this.#fail('the end of the file after the value')
    return node
  }

  #value(depth: number): SourceNode {
    this.#space()
    if (depth > DEPTH_MAX) throw new SyntaxProblem(`must not nest deeper than ${DEPTH_MAX} levels`)
    if (++this.#values > VALUES_MAX)
      throw new SyntaxProblem(`must not have more than ${VALUES_MAX} values`)
    const { line } = this
    switch (this.#text.charAt(this.#at)) {
      case '{':
        return { kind: 'map', line, entries: this.#entries(depth) }
      case '[':
        return { kind: 'list', line, items: this.#items(depth) }
      case '"':
        return { kind: 'scalar', line, value: this.#string() }
      default:
        return { kind: 'scalar', line, value: this.#word() }
    }
  }

  #entries(depth: number): Map<string, Entry> {
    const entries = new Map<string, Entry>()
    this.#at++
    this.#space()
    if (this.#take('}')) return entries
    do {
      this.#space()
      if (this.#text[this.#at] !== '"') {
        this.#fail(entries.size === 0 ? 'a key in double quotes or "}"' : 'a key in double quotes')
      }
      const { line } = this
      const key = this.#string()
      if (entries.has(key)) throw new SyntaxProblem(`key ${show(key)} stands twice in one object`)
      if (key === '__proto__') throw new SyntaxProblem('key "__proto__" is not allowed')
      this.#space()
      if (!this.#take(':')) this.#fail(`":" after the key ${show(key)}`)
      entries.set(key, { line, node: this.#value(depth + 1) })
      this.#space()
    } while (this.#take(','))
    if (!this.#take('}')) this.#fail('"," or "}"')
    return entries
  }

  #items(depth: number): SourceNode[] {
    const items: SourceNode[] = []
    this.#at++
    this.#space()
    if (this.#take(']')) return items
    do {
      items.push(this.#value(depth + 1))
      this.#space()
    } while (this.#take(','))
    if (!this.#take(']')) this.#fail('"," or "]"')
    return items
  }

  #string(): string {
    const start = this.#at
    for (let at = start + 1; at < this.#text.length; at++) {
      const char = this.#text[at]!
      if (char === '\\') at++
      else if (char < ' ') break
      else if (char === '"') {
        this.#at = at + 1
        return this.#unescape(this.#text.slice(start, at + 1))
      }
    }
    throw new SyntaxProblem('a text in double quotes does not end on its line')
  }

  #unescape(quoted: string): string {
    try {
      return String(JSON.parse(quoted))
    } catch {
      // The scan left only one thing that can be wrong with it.
      throw new SyntaxProblem(`text ${show(quoted.slice(1, -1))} has a wrong "\\" escape`)
    }
  }

  #word(): number | boolean | null {
    const pattern = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
    pattern.lastIndex = this.#at
    const word = pattern.exec(this.#text)?.[0]
    if (word === undefined) return this.#fail('a value')
    this.#at += word.length
    if (word === 'null') return null
    if (word === 'true' || word === 'false') return word === 'true'
    const value = Number(word)
    if (!Number.isFinite(value)) throw new SyntaxProblem(`number ${show(word)} is too large`)
    return value
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false
    this.#at++
    return true
  }

  #space(): void {
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#text[this.#at]
      if (char === '\n') this.line++
      else if (char !== ' ' && char !== '\t' && char !== '\r') return
    }
  }

  #fail(expected: string): never {
    const rest = /[\w.+-]+|[^]/y
    rest.lastIndex = this.#at
    const got = rest.exec(this.#text)?.[0]
    throw new SyntaxProblem(
      `is not JSON: expected ${expected}, got ${got === undefined ? 'the end of the file' : show(got)}`,
    )
  }
}
