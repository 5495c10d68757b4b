/** Where a value is in a document: keys and list indexes, from the top. */
export type Path = readonly (string | number)[]

const PLAIN_KEY = /^[A-Za-z_$@][\w$@-]*$/
const SEGMENT = /\.?([A-Za-z_$@][\w$@-]*)|\[(\d{1,9})\]|\[("(?:[^"\\]|\\.)*")\]/y

/** Writes a path as people read it: `env["a.b"]`, `ports[0].name`. The whole document is the empty text. */
export function formatPath(path: Path): string {
  return path
    .map((segment, index) => {
      if (typeof segment === 'number') return `[${segment}]`
      if (!PLAIN_KEY.test(segment)) return `[${JSON.stringify(segment)}]`
      return index === 0 ? segment : `.${segment}`
    })
    .join('')
}

/** Reads what {@link formatPath} wrote; nothing for other text. */
export function parsePath(text: string): Path | undefined {
  const path: (string | number)[] = []
  SEGMENT.lastIndex = 0
  while (SEGMENT.lastIndex < text.length) {
    const match = SEGMENT.exec(text)
    if (match === null) return undefined
    const [, key, index, quoted] = match
    if (index !== undefined) path.push(Number(index))
    else if (quoted === undefined) path.push(key!)
    else {
      const unquoted = unquote(quoted)
      if (unquoted === undefined) return undefined
      path.push(unquoted)
    }
  }
  return path
}

/** The value at `path` in plain data, or nothing where the path leads nowhere. Sees own keys only. */
export function valueAt(root: unknown, path: Path): unknown {
  let value = root
  for (const segment of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, segment)) {
      return undefined
    }
    value = Reflect.get(value, segment)
  }
  return value
}

/**
 * Puts `value` at `path` into plain data, making the maps and lists on the way.
 * A list only grows at its end: an index with a gap before it is left out, and so
 * is a path through a value that is no container.
 */
export function putAt(root: Record<string, unknown>, path: Path, value: unknown): void {
  let container: object = root
  for (const [depth, segment] of path.entries()) {
    const fits = Array.isArray(container)
      ? typeof segment === 'number' && segment <= container.length
      : typeof segment === 'string' && segment !== '__proto__'
    if (!fits) return
    if (depth === path.length - 1) Reflect.set(container, segment, value)
    else {
      if (!Object.hasOwn(container, segment)) {
        Reflect.set(container, segment, typeof path[depth + 1] === 'number' ? [] : {})
      }
      const next: unknown = Reflect.get(container, segment)
      if (typeof next !== 'object' || next === null) return
      container = next
    }
  }
}

/**
 * What makes plain data unfit to be walked by recursion or copied key by key: nesting
 * deeper than `most`, or a key `__proto__`. Nothing if it is fit. Uses no recursion
 * itself, so it may be asked of anything that is no cycle.
 */
export function flawOf(root: unknown, most: number): string | undefined {
  const open: { readonly value: unknown; readonly depth: number }[] = [{ value: root, depth: 0 }]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next.value !== 'object' || next.value === null) continue
    if (next.depth > most) return `must not nest deeper than ${most} levels`
    if (Object.hasOwn(next.value, '__proto__')) return 'key "__proto__" is not allowed'
    for (const value of Object.values(next.value)) open.push({ value, depth: next.depth + 1 })
  }
  return undefined
}

function unquote(text: string): string | undefined {
  try {
    const key: unknown = JSON.parse(text)
    return typeof key === 'string' ? key : undefined
  } catch {
    return undefined // No JSON string: then it is no path either.
  }
}
