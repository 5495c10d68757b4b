import {
  Composer,
  CST,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  Parser,
  type Document,
  type Node,
} from 'yaml'
import type { Problem } from '../model/problem.ts'
import { show } from './finding.ts'
import {
  DEPTH_MAX,
  VALUES_MAX,
  type Entry,
  type ParsedSource,
  type SourceNode,
} from './source-node.ts'

/** Thrown and caught in this file only: the first such problem ends the reading. */
class Refused extends Error {
  readonly offset: number

  constructor(offset: number, message: string) {
    super(message)
    this.offset = offset
  }
}

/**
 * Reads a YAML 1.2 stream of any number of documents, keeping the lines.
 *
 * The package's own way to plain data is not used: it checks for duplicate keys in
 * quadratic time and unfolds aliases before they can be counted. Here each key is
 * looked up once, an alias costs what it stands for ({@link VALUES_MAX}), and the
 * nesting is measured before anything recursive runs.
 */
export function parseYaml(file: string, text: string): ParsedSource {
  const lines = new LineCounter()
  const problem = (offset: number, message: string): Problem => ({
    severity: 'error',
    file,
    line: lines.linePos(offset).line || 1,
    path: '',
    message,
  })
  try {
    const tokens = tokenize(text, lines)
    const documents: SourceNode[] = []
    const problems: Problem[] = []
    const options = { uniqueKeys: false, schema: 'core', version: '1.2' } as const
    for (const document of new Composer(options).compose(tokens)) {
      for (const { pos, message } of [...document.errors, ...document.warnings].slice(0, 10)) {
        problems.push(problem(pos[0], `is not YAML: ${message.split('\n')[0]}`))
      }
      if (document.errors.length > 0) break
      const root = convert(document, lines)
      if (root !== undefined) documents.push(root)
    }
    return problems.length > 0 ? { documents: [], problems } : { documents, problems }
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    return { documents: [], problems: [problem(error.offset, error.message)] }
  }
}

/** The concrete syntax of the stream, once it is known to be neither too deep nor too much. */
function tokenize(text: string, lines: LineCounter): CST.Token[] {
  const tokens: CST.Token[] = []
  let values = 0
  const start = text.startsWith('\uFEFF') ? text.slice(1) : text
  for (const token of new Parser(lines.addNewLine).parse(start)) {
    if (token.type === 'error') throw new Refused(token.offset, `is not YAML: ${token.message}`)
    tokens.push(token)
    values += measure(token)
    if (values > VALUES_MAX)
      throw new Refused(token.offset, `must not have more than ${VALUES_MAX} values`)
  }
  return tokens
}

const BLANK = new Set(['space', 'newline', 'comment'])

/** Counts the values below `root`, with a list of its own instead of recursion: that is the point. */
function measure(root: CST.Token): number {
  const open: { readonly token: CST.Token; readonly depth: number }[] = [{ token: root, depth: 0 }]
  let values = 0
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { token, depth } = next
    if (depth > DEPTH_MAX + 1) {
      throw new Refused(token.offset, `must not nest deeper than ${DEPTH_MAX} levels`)
    }
    values++
    // What follows a value and does not belong there is composed one by one, too.
    const after: readonly CST.SourceToken[] | undefined = 'end' in token ? token.end : undefined
    values += after?.filter(({ type }) => !BLANK.has(type)).length ?? 0
    if (token.type === 'document' && token.value !== undefined) {
      open.push({ token: token.value, depth })
    }
    if (!('items' in token)) continue
    for (const { key, value } of token.items) {
      if (key) open.push({ token: key, depth: depth + 1 })
      if (value) open.push({ token: value, depth: depth + 1 })
    }
  }
  return values
}

/** A document's tree; nothing for an empty document. */
function convert(document: Document.Parsed, lines: LineCounter): SourceNode | undefined {
  const anchors = new Map<string, { readonly node: SourceNode; readonly values: number }>()
  let values = 0

  function visit(node: Node | null | undefined, around: number): SourceNode {
    const offset = node?.range?.[0] ?? around
    const { line } = lines.linePos(offset)
    if (++values > VALUES_MAX) {
      throw new Refused(offset, `must not have more than ${VALUES_MAX} values, aliases unfolded`)
    }
    if (node === null || node === undefined) return { kind: 'scalar', line, value: null }
    if (isAlias(node)) {
      const anchor = anchors.get(node.source)
      if (anchor === undefined) throw new Refused(offset, `alias "*${node.source}" has no anchor`)
      values += anchor.values
      return anchor.node
    }
    const before = values
    const tree = branch(node, line, offset)
    const anchor = 'anchor' in node ? node.anchor : ''
    if (anchor) {
      anchors.set(anchor, { node: tree, values: values - before })
    }
    return tree
  }

  function branch(node: Node, line: number, offset: number): SourceNode {
    if (isSeq<Node | null>(node)) {
      return { kind: 'list', line, items: node.items.map(item => visit(item, offset)) }
    }
    if (isMap<Node | null, Node | null>(node)) {
      const entries = new Map<string, Entry>()
      for (const { key, value } of node.items) {
        const at = key?.range?.[0] ?? offset
        const name = keyOf(key, at)
        if (entries.has(name)) throw new Refused(at, `key ${show(name)} stands twice in one map`)
        entries.set(name, { line: lines.linePos(at).line, node: visit(value, at) })
      }
      return { kind: 'map', line, entries }
    }
    const value: unknown = isScalar(node) ? node.value : undefined
    if (typeof value === 'string' || typeof value === 'boolean' || value === null) {
      return { kind: 'scalar', line, value }
    }
    if (typeof value === 'number' && Number.isFinite(value)) return { kind: 'scalar', line, value }
    throw new Refused(offset, `must be text, a finite number, true, false or null`)
  }

  const { contents } = document
  if (contents === null || (isScalar(contents) && contents.value === null)) return undefined
  return visit(contents, 0)
}

function keyOf(key: Node | null, offset: number): string {
  if (!isScalar(key) || key.value === null) throw new Refused(offset, 'a key must be text')
  // `80: x` and `true: x` are meant as they were written.
  const name = typeof key.value === 'string' ? key.value : (key.source ?? '')
  if (name === '__proto__') throw new Refused(offset, 'key "__proto__" is not allowed')
  return name
}
