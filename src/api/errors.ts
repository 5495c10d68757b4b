import type { FastifyReply } from 'fastify'
import { APP_ID_RULE, parseAppId, type AppId } from '../model/ids.ts'
import type { NodeService, NodeView } from '../node/service.ts'
import { nearest } from '../util/nearest.ts'
import type { ErrorAnswer } from './shapes.ts'

/** An answer that is no success: an HTTP status, and one line that says what to do. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** Sends an error as every route does. */
export async function sendError(
  reply: FastifyReply,
  status: number,
  message: string,
): Promise<void> {
  const body: ErrorAnswer = { message }
  await reply.code(status).send(body)
}

/**
 * Reads the id of an app that exists.
 *
 * @throws {ApiError} 400 when it can be no id, 404 with the nearest one when there is no such app.
 */
export function existingApp(service: NodeService, typed: string): AppId {
  const id = parseAppId(typed)
  if (id === undefined) throw new ApiError(400, `an app's id is ${APP_ID_RULE}, got ${typed}`)
  const { apps } = service.desired()
  if (apps.has(id)) return id
  const near = sameName(id, apps.keys()) ?? nearest(id, apps.keys())
  const hint = near === undefined ? 'see `shoal ls`' : `did you mean ${near}?`
  throw new ApiError(404, `there is no app ${id}: ${hint}`)
}

/**
 * Reads the name (or the id) of an admitted node.
 *
 * @throws {ApiError} 404 with the nearest name when there is no such node.
 */
export function existingNode(service: NodeService, typed: string): NodeView {
  const nodes = service.nodes()
  const found = nodes.find(({ name, node }) => name === typed || node === typed)
  if (found !== undefined) return found
  const near = nearest(
    typed,
    nodes.map(({ name }) => name),
  )
  const hint = near === undefined ? 'see `shoal node ls`' : `did you mean ${near}?`
  throw new ApiError(404, `there is no node ${typed}: ${hint}`)
}

/** The only app whose path ends like what was typed: `/shop/web` for `web`. */
function sameName(id: AppId, ids: Iterable<AppId>): AppId | undefined {
  const found = [...ids].filter(other => other.endsWith(id))
  return found.length === 1 ? found[0] : undefined
}
