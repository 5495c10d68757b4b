import type { Edit } from '../model/desired.ts'
import type { NodeService } from '../node/service.ts'
import { ApiError } from './errors.ts'
import type { EditAnswer, Stored } from './shapes.ts'

/**
 * Makes an edit, and says where it is safe.
 *
 * @throws {ApiError} 409 with the reason when it was not made.
 */
export async function makeEdit(service: NodeService, wanted: Edit): Promise<EditAnswer> {
  const result = await service.edit(wanted)
  if (!result.ok) throw new ApiError(409, result.reason)
  return { changed: result.changed, stored: storedOf(service, result) }
}

/** Where an edit is safe, by the names of the nodes. */
export function storedOf(
  service: NodeService,
  { storedOn, onlyHere }: { readonly storedOn: readonly string[]; readonly onlyHere: boolean },
): Stored {
  const names = new Map(service.nodes().map(({ node, name }) => [node as string, name]))
  return { on: storedOn.map(node => names.get(node) ?? node), onlyHere }
}
