/**
 * Names in package-lock.json every optional package of other platforms. npm leaves them out when
 * the registry it asked serves only this platform, and `npm ci` then refuses the lock on every
 * machine ("Missing: … from lock file"). Run it after `npm install` changed the lock:
 *
 *     node scripts/complete-lock.ts
 *
 * The entries carry no integrity, because there was nothing to measure; packages of the platforms
 * we run on (Linux on x64 and arm64) come from npm itself and do carry it.
 */

import { readFileSync, writeFileSync } from 'node:fs'

/** One package of the lock, as far as we read it. */
export interface LockedPackage {
  readonly version?: string
  readonly integrity?: string
  readonly resolved?: string
  readonly link?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly dev?: boolean
  readonly optional?: boolean
  readonly os?: readonly string[]
  readonly cpu?: readonly string[]
  readonly libc?: readonly string[]
}

/** A lock of version 3: what npm 7 and later write. */
export interface Lock {
  readonly packages: Readonly<Record<string, LockedPackage>>
}

const SYSTEMS = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32']
const PROCESSORS = ['arm', 'arm64', 'ia32', 'loong64', 'ppc64', 'riscv64', 's390x', 'x64']
const ALIASES: Readonly<Record<string, string>> = { gnueabihf: 'gnu', musleabihf: 'musl' }
const LIBCS: Readonly<Record<string, string>> = { gnu: 'glibc', musl: 'musl' }

/** The optional packages that some locked package wants and the lock does not name, with why. */
export function missingOptionals(lock: Lock): Map<string, LockedPackage> {
  const missing = new Map<string, LockedPackage>()
  for (const [path, { dev, optionalDependencies = {} }] of Object.entries(lock.packages)) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      const entry = `node_modules/${name}`
      if (lock.packages[entry] ?? lock.packages[`${path}/${entry}`]) continue
      missing.set(entry, {
        version,
        ...(dev === true ? { dev } : {}),
        optional: true,
        ...platformOf(name),
      })
    }
  }
  return missing
}

/** The platform that a package is for, told from its name: `binding-linux-arm64-musl`. */
export function platformOf(name: string): Pick<LockedPackage, 'os' | 'cpu' | 'libc'> {
  const words = name.split(/[-/]/)
  const pick = (known: readonly string[]): string[] => words.filter(word => known.includes(word))
  const [os, cpu] = [pick(SYSTEMS), pick(PROCESSORS)]
  if (os.length !== 1 || cpu.length !== 1) {
    throw new RangeError(`Cannot tell the platform of ${name}: add its entry to the lock by hand`)
  }
  const libc = words.flatMap(word => LIBCS[ALIASES[word] ?? word] ?? [])
  return { os, cpu, ...(libc.length > 0 ? { libc } : {}) }
}

if (import.meta.main) {
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Lock
  const packages = { ...lock.packages, ...Object.fromEntries(missingOptionals(lock)) }
  const ordered = Object.fromEntries(
    Object.entries(packages).toSorted(([a], [b]) => a.localeCompare(b, 'en')),
  )
  writeFileSync('package-lock.json', `${JSON.stringify({ ...lock, packages: ordered }, null, 2)}\n`)
}
