import { createHash } from 'node:crypto'
import type { TaskId } from '../model/ids.ts'
import { mangleLabel } from './labels.ts'
import { LABEL_BYTES_MAX } from './records.ts'

/** The letters of z-base-32, in the order of their values. */
const ALPHABET = 'ybndrfg8ejkmcpqxot1uwisza345h769'
const HASH_CHARACTERS = 5
/** Less of a node's name says nothing. With it an app's name may have 54 characters, as Marathon's manual says. */
const AGENT_CHARACTERS_MIN = 2

/**
 * The label by which Mesos-DNS knows one task: `web-jhy6r-h1`, of the app's name, a hash of the
 * task's id, and its agent. Mesos takes the last part of the agent's id, `s1`; our nodes
 * have names instead, so this is the node's, cut where there is no room for all of it.
 *
 * @param appLabel The app's name as one label.
 * @returns Nothing where the app's name leaves no room.
 */
export function instanceLabel(appLabel: string, task: TaskId, node: string): string | undefined {
  const agent = agentLabel(appLabel, node)
  return agent && `${appLabel}-${taskHash(task)}-${agent}`
}

/** Where in `label` an app's name may end, if it is an instance's: before every `-` with five characters and a `-` behind it. */
export function appLabelsIn(label: string): string[] {
  const ends: string[] = []
  for (let at = label.indexOf('-'); at >= 0; at = label.indexOf('-', at + 1)) {
    if (at > 0 && label[at + HASH_CHARACTERS + 1] === '-') ends.push(label.slice(0, at))
  }
  return ends
}

/** Mesos-DNS's short hash of a task's id: the first characters of its SHA-1 in z-base-32. */
export function taskHash(task: string): string {
  const digest = createHash('sha1').update(task).digest()
  let hash = ''
  for (let bit = 0; hash.length < HASH_CHARACTERS; bit += 5) {
    const word = digest.readUInt16BE(bit >> 3)
    hash += ALPHABET[(word >> (11 - (bit & 7))) & 31]!
  }
  return hash
}

function agentLabel(appLabel: string, node: string): string | undefined {
  const whole = mangleLabel(node)
  const room = LABEL_BYTES_MAX - appLabel.length - HASH_CHARACTERS - 2
  if (whole === '' || room < Math.min(whole.length, AGENT_CHARACTERS_MIN)) return undefined
  return whole.slice(0, room).replace(/-+$/, '')
}
