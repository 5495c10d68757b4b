import { mustAsk } from './engine-api.ts'
import type { TestHost } from './test-host.ts'

/** A container of ours, as the engine of its host tells: Shoal's own word is not asked. */
export interface Container {
  readonly id: string
  readonly host: number
  readonly slot: string
  readonly task: string
  readonly running: boolean
}

interface Listed {
  readonly Id: string
  readonly State: string
  readonly Labels: Readonly<Record<string, string>>
}

/** Every container on a host with a label of ours, ended ones too; throws when the engine does not answer. */
export async function listContainers(host: TestHost): Promise<Container[]> {
  const filters = encodeURIComponent(JSON.stringify({ label: ['shoal.cluster'] }))
  const path = `/containers/json?all=1&filters=${filters}`
  const listed = await mustAsk(host.dockerSocket ?? '', { method: 'GET', path })
  return (JSON.parse(listed) as Listed[]).map(({ Id, State, Labels }) => ({
    id: Id,
    host: host.number,
    slot: Labels['shoal.slot'] ?? '',
    task: Labels['shoal.task'] ?? '',
    running: State === 'running',
  }))
}
