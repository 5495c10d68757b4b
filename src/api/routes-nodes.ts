import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Edit } from '../model/desired.ts'
import { NODE_LABELS_MAX, NODE_MODES } from '../model/node-admin.ts'
import { isSettingValue, SETTING_RULES, settingRuleOf } from '../model/settings.ts'
import type { NodeService } from '../node/service.ts'
import { nearest } from '../util/nearest.ts'
import { ApiError, existingNode } from './errors.ts'
import { makeEdit } from './make-edit.ts'
import { nodeAnswer, nodeLines } from './node-views.ts'
import { parseRequest } from './parse-request.ts'
import type { SettingLine } from './shapes.ts'

const nodeQuery = z.object({ name: z.string() })
const labelsBody = z.strictObject({
  name: z.string(),
  set: z.record(z.string(), z.string()).default({}),
  unset: z
    .array(z.string())
    .max(2 * NODE_LABELS_MAX)
    .default([]),
})
const modeBody = z.strictObject({ name: z.string(), mode: z.enum(NODE_MODES) })
const settingsBody = z.strictObject({
  set: z.record(z.string(), z.union([z.number(), z.literal('default')])),
})

/** Adds what concerns nodes and the settings of the cluster to the node's own API. */
export function addNodeRoutes(app: FastifyInstance, service: NodeService): void {
  app.get('/v1/nodes', () => nodeLines(service))
  app.get('/v1/node', request => {
    const { name } = parseRequest(nodeQuery, request.query)
    return nodeAnswer(service, existingNode(service, name))
  })
  app.delete('/v1/node', async request => {
    const { name } = parseRequest(nodeQuery, request.query)
    const { node, verdict, isSelf } = existingNode(service, name)
    if (isSelf || verdict?.kind === 'alive') {
      throw new ApiError(
        409,
        `${name} is alive: run \`shoal leave\` on it, which hands its tasks over first`,
      )
    }
    return await makeEdit(service, { kind: 'expel', node })
  })
  app.post('/v1/node/labels', async request => {
    const { name, set, unset } = parseRequest(labelsBody, request.body)
    const { node, record } = existingNode(service, name)
    const said = service.desired().nodes.get(node)?.labels ?? {}
    for (const key of unset) {
      const own = record?.labels[key]
      if (own === undefined || Object.hasOwn(said, key)) continue
      throw new ApiError(
        409,
        `${name} itself declares ${key}=${own} (--label): set another value, or start its daemon without it`,
      )
    }
    return await makeEdit(service, { kind: 'label', node, set, unset })
  })
  app.post('/v1/node/mode', async request => {
    const { name, mode } = parseRequest(modeBody, request.body)
    return await makeEdit(service, { kind: 'mode', node: existingNode(service, name).node, mode })
  })

  app.get('/v1/settings', () => settingLines(service))
  app.post('/v1/settings', async request => {
    const { set } = parseRequest(settingsBody, request.body)
    return await makeEdit(service, { kind: 'settings', set: checkSettings(set) })
  })
}

function settingLines(service: NodeService): SettingLine[] {
  const { settings } = service.desired()
  return SETTING_RULES.map(rule => {
    const value = settings[rule.name]
    return { ...rule, ...(value !== undefined && { value }) }
  })
}

type SettingsSet = Extract<Edit, { readonly kind: 'settings' }>['set']

/** @throws {ApiError} 400 for a setting that is none, with the nearest, or a value that it cannot have. */
function checkSettings(set: Readonly<Record<string, number | 'default'>>): SettingsSet {
  for (const [name, value] of Object.entries(set)) {
    const rule = settingRuleOf(name)
    if (rule === undefined) {
      const near = nearest(
        name,
        SETTING_RULES.map(other => other.name),
      )
      const hint = near === undefined ? 'see `shoal settings`' : `did you mean ${near}?`
      throw new ApiError(400, `there is no setting ${name}: ${hint}`)
    }
    if (value !== 'default' && !isSettingValue(rule, value)) {
      const { min, max } = rule
      throw new ApiError(
        400,
        `${name} must be a whole number from ${min} to ${max}, or default, got ${String(value)}`,
      )
    }
  }
  return set
}
