import type { z } from 'zod'
import { ApiError } from './errors.ts'

/**
 * Reads the body or the query of a request.
 *
 * @throws {ApiError} 400 with the first thing that is wrong, and where.
 */
export function parseRequest<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const where =
    issue === undefined || issue.path.length === 0 ? 'the request' : issue.path.join('.')
  throw new ApiError(400, `${where}: ${issue?.message ?? 'is wrong'}`)
}
