import { homedir } from 'node:os'
import { join } from 'node:path'

/** Where a daemon of this machine may have its socket: what was named, or the usual places. */
export function dataDirs(named: string | undefined): string[] {
  const chosen = named ?? process.env['SHOAL_DATA']
  if (chosen !== undefined && chosen !== '') return [chosen]
  const own = join(homedir(), '.local', 'share', 'shoal')
  return process.getuid?.() === 0 ? ['/var/lib/shoal'] : [own, '/var/lib/shoal']
}
