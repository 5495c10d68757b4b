import { readFileSync, statSync } from 'node:fs'
import { parseResolvConf, type Upstream } from './upstream.ts'

/** The file is looked at again when this has passed and somebody asks, in milliseconds: a quiet daemon never looks. */
const LOOK_AGAIN_MS = 1_000

/**
 * Follows a resolv.conf(5): gives the resolvers that it names now. Whoever changes it
 * writes a new file over the old one or to where a link points, so that watching it
 * would mean watching folders; looking at its time once a second costs a few
 * microseconds, and is what C libraries do.
 *
 * @param onChange Called when it names other resolvers than before, the first time too.
 */
export function followResolvConf(
  file: string,
  nowMs: () => number,
  onChange: (upstreams: readonly Upstream[]) => void,
): () => readonly Upstream[] {
  let upstreams: readonly Upstream[] = []
  let version: string | undefined
  let lookedAtMs = -Infinity

  return () => {
    if (nowMs() - lookedAtMs < LOOK_AGAIN_MS) return upstreams
    lookedAtMs = nowMs()
    const found = versionOf(file)
    if (found === version) return upstreams
    version = found
    const read = found === undefined ? [] : parseResolvConf(readOrNothing(file))
    const isSame = JSON.stringify(read) === JSON.stringify(upstreams)
    upstreams = isSame ? upstreams : read
    if (!isSame) onChange(upstreams)
    return upstreams
  }
}

/** What changes with the file's content; nothing while there is none. */
function versionOf(file: string): string | undefined {
  const stat = statSync(file, { throwIfNoEntry: false })
  return stat && `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeMs}`
}

/** A file that goes between the look and the reading is as good as none: the next look finds what took its place. */
function readOrNothing(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
    throw error
  }
}
