import type { FastifyServerOptions } from 'fastify'

/**
 * No route here has a schema of fastify's: what comes in is read by zod. So its compilers of schemas, which it else loads at
 * once, stay on the disk: 112 modules, and 1.5 MB of each daemon.
 */
export const NO_SCHEMAS: NonNullable<FastifyServerOptions['schemaController']> = {
  compilersFactory: { buildValidator: refuse, buildSerializer: refuse },
}

function refuse(): never {
  throw new Error('A route has a schema, but fastify was told that none has: see no-schemas.ts')
}
