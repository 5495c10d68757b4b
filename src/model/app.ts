/**
 * What an app is: the one schema that every file format is turned into, that the
 * document stores, and that the runtimes carry out. Strict: an unknown key is an
 * error, and every limit stands here.
 *
 * @module
 */

import { z } from 'zod'
import { DURATION_RULE, isDuration, type Duration } from './duration.ts'
import { APP_ID_RULE, isAppId, type AppId } from './ids.ts'

/** Most slots that one app may have. */
export const INSTANCES_MAX = 10_000

/** Most other names that DNS answers for one app. */
export const ALIASES_MAX = 16

/** Largest app, as JSON, in bytes: a revision must fit one gossip message with room to spare. */
export const APP_SIZE_BYTES_MAX = 256 * 1024

/** What the name of a port or an alias must look like, for messages to people. */
export const DNS_LABEL_RULE = 'a DNS label: at most 63 lower-case letters, digits and "-"'

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

const appId = z.custom<AppId>(value => typeof value === 'string' && isAppId(value), {
  error: `must be ${APP_ID_RULE}`,
})
const duration = z.custom<Duration>(value => typeof value === 'string' && isDuration(value), {
  error: `must be ${DURATION_RULE}`,
})
const inMs = (text: string): Duration => text as Duration
const text = z.string().max(4096)
const port = z.int().min(0).max(65_535)
const dnsLabel = z.string().regex(LABEL, { error: `must be ${DNS_LABEL_RULE}` })

/** What a task needs, held back for it on its node. Placement counts these, never live load. */
const resources = z.strictObject({
  cpus: z.number().min(0).max(1024).default(0.1),
  memMb: z.int().min(0).max(16_777_216).default(128),
  diskMb: z.int().min(0).max(1_073_741_824).default(0),
  gpus: z.int().min(0).max(64).default(0),
})

/** What a task may not exceed. Absent means no limit. Docker takes no memory limit below 6 MB. */
const limits = z.strictObject({
  cpus: z.number().min(0.01).max(1024).optional(),
  memMb: z.int().min(6).max(16_777_216).optional(),
})

const appPort = z.strictObject({
  /** Named ports get an SRV name of their own: `_NAME._APP._tcp`. */
  name: dnsLabel.optional(),
  /** The port inside the container. 0: the same as the host port. */
  port: port.default(0),
  /** The port on the node. 0: a free one of 31000–32000 is picked and reported. */
  hostPort: port.default(0),
  protocol: z.enum(['tcp', 'udp']).default('tcp'),
})

const volume = z.strictObject({
  /** An absolute path of the node, or the name of a Docker volume. */
  source: z.string().min(1).max(4096),
  target: z.string().regex(/^\//, { error: 'must be an absolute path' }).max(4096),
  readOnly: z.boolean().default(false),
})

const checkTiming = {
  /** Failures before the first success do not count for this long after the start. */
  grace: duration.default(inMs('30s')),
  interval: duration.default(inMs('10s')),
  timeout: duration.default(inMs('5s')),
  /** So many failures in a row make the task unhealthy, and it is replaced. 0: out of DNS, but never replaced. */
  maxFailures: z.int().min(0).max(1000).default(3),
}

const healthCheck = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('http'),
    path: text.default('/'),
    scheme: z.enum(['http', 'https']).default('http'),
    /** Which of the app's ports: its index or its name. */
    port: z.union([z.int().min(0).max(63), dnsLabel]).default(0),
    ...checkTiming,
  }),
  z.strictObject({
    kind: z.literal('tcp'),
    port: z.union([z.int().min(0).max(63), dnsLabel]).default(0),
    ...checkTiming,
  }),
  z.strictObject({
    kind: z.literal('command'),
    /** Run inside the task; exit code 0 is healthy. A string goes through `/bin/sh -c`. */
    command: z.union([text, z.array(text).min(1).max(256)]),
    ...checkTiming,
  }),
])

const constraint = z
  .strictObject({
    /** A label of the node, or `@hostname`, `@zone`, `@region`. */
    field: z.string().min(1).max(255),
    operator: z.enum(['UNIQUE', 'CLUSTER', 'GROUP_BY', 'LIKE', 'UNLIKE', 'MAX_PER', 'IS']),
    value: z.string().max(1024).optional(),
  })
  .superRefine(({ operator, value }, issues) => {
    const complain = (message: string): void => issues.addIssue({ code: 'custom', message })
    if (value === undefined && ['LIKE', 'UNLIKE', 'MAX_PER', 'IS'].includes(operator)) {
      complain(`${operator} needs a value`)
    }
    if (operator === 'UNIQUE' && value !== undefined) complain('UNIQUE takes no value')
    if (operator === 'MAX_PER' && value !== undefined && !/^[1-9]\d{0,5}$/.test(value)) {
      complain(`MAX_PER needs a number above 0, got ${value}`)
    }
    if (operator === 'GROUP_BY' && value !== undefined && !/^[1-9]\d{0,5}$/.test(value)) {
      complain(`GROUP_BY takes a number above 0, got ${value}`)
    }
    if ((operator === 'LIKE' || operator === 'UNLIKE') && value !== undefined && !isRegex(value)) {
      complain(`must be a regular expression, got ${value}`)
    }
  })

/** The app schema, version 1. Parsing fills in every default. */
export const appSchema = z
  .strictObject({
    /** Version of this schema. */
    schema: z.literal(1).default(1),
    id: appId,
    /** A Docker image. Without one, `command` runs as a plain process of the node. */
    image: z.string().min(1).max(1024).optional(),
    /** Pull the image at each start, even when the node has it. */
    forcePull: z.boolean().default(false),
    /** Replaces the image's entrypoint. */
    entrypoint: z.array(text).min(1).max(256).optional(),
    /** An argument list, or a string that goes through `/bin/sh -c` in place of the image's entrypoint. */
    command: z.union([text.min(1), z.array(text).min(1).max(256)]).optional(),
    /** `replicated`: `instances` slots. `global`: one slot on each eligible node. */
    mode: z.enum(['replicated', 'global']).default('replicated'),
    instances: z.int().min(0).max(INSTANCES_MAX).default(1),
    resources: resources.prefault({}),
    limits: limits.prefault({}),
    /** Docker networking. `host` tasks take their ports of the node itself, so two never share a node. */
    network: z.enum(['bridge', 'host']).default('bridge'),
    ports: z.array(appPort).max(64).default([]),
    env: z
      .record(
        z
          .string()
          .regex(/^[^=\0]+$/)
          .max(255),
        z.string().max(32_768),
      )
      .default({}),
    labels: z.record(z.string().min(1).max(255), text).default({}),
    volumes: z.array(volume).max(64).default([]),
    health: z.array(healthCheck).max(16).default([]),
    constraints: z.array(constraint).max(64).default([]),
    /** Most slots of this app on one node. */
    maxPerNode: z.int().min(1).max(INSTANCES_MAX).optional(),
    /**
     * Where a slot that runs belongs. `hash`: where its hash says, so it moves when a better node
     * comes. `sticky`: where it is, as long as that node may run it at all.
     */
    placement: z.enum(['hash', 'sticky']).default('hash'),
    /** How a new revision replaces the old one, and how a slot changes its node. */
    update: z
      .strictObject({
        /** `start-first` makes before it breaks. `stop-first` never runs a slot twice. */
        order: z.enum(['start-first', 'stop-first']).default('start-first'),
        /** How many slots may be on their way at once. */
        parallelism: z.int().min(1).max(INSTANCES_MAX).default(1),
        /** How long a new task must stay up and healthy before the next slot follows. */
        monitor: duration.default(inMs('2s')),
      })
      .prefault({}),
    /** How long before each next start of a task that keeps failing: `initial` × `factor`ⁿ, at most `max`. */
    backoff: z
      .strictObject({
        initial: duration.default(inMs('1s')),
        factor: z.number().min(1).max(100).default(1.15),
        max: duration.default(inMs('300s')),
      })
      .prefault({}),
    /** What becomes of the slots of a node that is lost, and of the tasks of a node that is cut off. */
    onPartition: z
      .strictObject({
        /** How long a dead node's slots wait before others start them; with `stop`, also how long a cut-off node goes on. */
        lostAfter: duration.default(inMs('0s')),
        /**
         * `keep`: a node that sees no majority of the admitted nodes runs its tasks on. `stop`: it
         * ends them, and elsewhere none starts before that is sure: never two tasks of one slot.
         */
        isolated: z.enum(['keep', 'stop']).default('keep'),
      })
      .prefault({}),
    /** Between the stop signal and the kill. */
    stopGrace: duration.default(inMs('10s')),
    user: text.min(1).optional(),
    workdir: text.min(1).optional(),
    tty: z.boolean().default(false),
    privileged: z.boolean().default(false),
    /** More names that DNS answers for this app, such as the Kubernetes Service in front of it. */
    aliases: z.array(dnsLabel).max(ALIASES_MAX).default([]),
    /**
     * Present in each app that came in another format: which, and what it said that Shoal
     * keeps but does not act on, so that it can be given back whole. Path → value.
     */
    carried: z
      .strictObject({
        format: z.enum(['marathon', 'kubernetes']),
        fields: z.record(z.string(), z.json()),
      })
      .optional(),
  })
  .superRefine((app, issues) => {
    const complain = (path: (string | number)[], message: string): void =>
      issues.addIssue({ code: 'custom', path, message })
    if (app.image === undefined && app.command === undefined) {
      complain([], 'must have an image (for Docker) or a command (for a plain process)')
    }
    if (app.image === undefined) {
      if (app.volumes.length > 0)
        complain(['volumes'], 'need an image: a process sees the node’s files')
      if (app.entrypoint !== undefined) complain(['entrypoint'], 'needs an image')
    }
    const names = app.ports.map(({ name }) => name).filter(name => name !== undefined)
    if (new Set(names).size < names.length) complain(['ports'], 'must have different names')
    const fixed = app.ports
      .filter(({ hostPort }) => hostPort > 0)
      .map(({ hostPort, protocol }) => `${protocol} ${hostPort}`)
    if (new Set(fixed).size < fixed.length) complain(['ports'], 'must have different host ports')
    for (const [index, check] of app.health.entries()) {
      if (check.kind === 'command') continue
      const found =
        typeof check.port === 'number' ? check.port < app.ports.length : names.includes(check.port)
      if (!found) complain(['health', index, 'port'], `names no port of the app, got ${check.port}`)
    }
  })

/** An app, whole and valid, with every default filled in. */
export type AppSpec = Readonly<z.output<typeof appSchema>>

/** An app as people write it: what has a default may be left out. */
export type AppInput = z.input<typeof appSchema>

/** One port of an app. */
export type AppPort = AppSpec['ports'][number]

/** One health check of an app. */
export type HealthCheck = AppSpec['health'][number]

/** One placement constraint of an app. */
export type Constraint = AppSpec['constraints'][number]

/** The runtime that an app needs. */
export function runtimeOf(app: Pick<AppSpec, 'image'>): 'docker' | 'process' {
  return app.image === undefined ? 'process' : 'docker'
}

/** True for an app of which no slot may ever have two tasks: it breaks before it makes. */
export function isNeverTwice(app: Pick<AppSpec, 'update' | 'onPartition'>): boolean {
  return app.update.order === 'stop-first' || needsClaim(app)
}

/** True for an app whose slots run only where a majority of the nodes granted that. */
export function needsClaim(app: Pick<AppSpec, 'onPartition'>): boolean {
  return app.onPartition.isolated === 'stop'
}

/** The ports that each task takes of its node itself, so that two tasks with one in common never share a node: `tcp 80`. */
export function fixedPortsOf(app: AppSpec): string[] {
  const direct = app.network === 'host' || app.image === undefined
  return app.ports
    .map(own => ({ ...own, hostPort: own.hostPort || (direct ? own.port : 0) }))
    .filter(({ hostPort }) => hostPort > 0)
    .map(({ hostPort, protocol }) => `${protocol} ${hostPort}`)
}

/** True for a text that may name a port or be an alias ({@link DNS_LABEL_RULE}). */
export function isDnsLabel(name: string): boolean {
  return LABEL.test(name)
}

function isRegex(source: string): boolean {
  try {
    return new RegExp(source) instanceof RegExp
  } catch {
    return false // Not a regular expression: that is the answer.
  }
}
