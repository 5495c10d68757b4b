import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { canMakeHelloImage } from './hello-image.ts'
import { TOOL_PATH } from './run-command.ts'

/** The Debian package of each tool that a bed needs. */
const NETWORK_TOOLS = { ip: 'iproute2', nft: 'nftables', nsenter: 'util-linux' }
const DOCKER_TOOLS = { dockerd: 'docker.io', unshare: 'util-linux' }
/** What a test asks with, as users do. */
const CLIENT_TOOLS = { dig: 'bind9-dnsutils', curl: 'curl' }

/** What is needed of a machine beyond namespaces. */
export interface Needs {
  /** A Docker engine on each host. */
  readonly docker: boolean
  /** `dig` and `curl`. @default false */
  readonly clients?: boolean
}

/**
 * Why a test bed cannot be made on this machine, as one line that says what to do, or undefined
 * where it can. Tests skip with these words.
 */
export function missingForTestbed({ docker, clients = false }: Needs): string | undefined {
  if (process.platform !== 'linux') return 'needs network namespaces: run it on Linux'
  if (process.getuid?.() !== 0) return 'needs root for network namespaces: run it as root'
  const tools = {
    ...NETWORK_TOOLS,
    ...(docker && DOCKER_TOOLS),
    ...(clients && CLIENT_TOOLS),
  }
  const folders = TOOL_PATH.split(':')
  const missing = Object.entries(tools)
    .filter(([tool]) => !folders.some(folder => existsSync(join(folder, tool))))
    .map(([, name]) => name)
  if (docker && !canMakeHelloImage()) missing.push('busybox-static')
  if (missing.length === 0) return undefined
  return `needs Debian packages: apt-get install ${[...new Set(missing)].join(' ')}`
}
