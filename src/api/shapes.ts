/**
 * What the API answers with, as JSON. The command line and whoever else talks to a
 * node reads these; they grow, and never change their meaning.
 *
 * @module
 */

import type { AppSpec } from '../model/app.ts'
import type { AppId, NodeId, RevisionId, SlotId, TaskId } from '../model/ids.ts'
import type { NodeMode } from '../model/node-admin.ts'
import type { Capacity } from '../model/node-record.ts'
import type { HealReport } from '../node/machine/split-report.ts'
import type { Problem } from '../model/problem.ts'
import type { SettingName } from '../model/settings.ts'
import type { Health, TaskPort, TaskState } from '../model/task.ts'
import type { VerdictKind } from '../model/verdict.ts'

/** `GET /v1/status`: what this node sees of the cluster. */
export interface StatusAnswer {
  readonly cluster: string
  readonly node: NodeId
  readonly name: string
  readonly version: string
  readonly uptimeMs: number
  readonly dataDir: string
  readonly nodes: {
    readonly admitted: number
    /** Alive, this node included. */
    readonly alive: number
    readonly suspect: number
    /** Dead, left, or never heard of. */
    readonly missing: number
    /** True when what this node sees is a majority of the admitted: more than half, or half with the first in the order of ids. */
    readonly majority: boolean
    /** When the first of the losses that still last began; absent when all nodes are alive. */
    readonly sinceMs?: number
    /** Those that are not alive, and when each stopped to answer: nothing for one that was not heard of since this daemon started. */
    readonly notAlive: readonly {
      readonly name: string
      readonly verdict: VerdictKind | 'unseen'
      readonly sinceMs: number | undefined
    }[]
  }
  /** What may be running on nodes that this one does not see, by their last word. */
  readonly elsewhere: readonly ElsewhereLine[]
  /** Nodes whose key is used by a second machine, and where that is. */
  readonly twins: readonly { readonly node: string; readonly address: string }[]
  /** Many nodes were lost at once, so tasks in place of lost ones are started slowly; absent otherwise. */
  readonly brake?: {
    readonly sinceMs: number
    readonly lost: number
    readonly of: number
    /** Each node starts one such task in so long. */
    readonly startIntervalMs: number
  }
  readonly apps: number
  readonly slots: { readonly wanted: number; readonly running: number; readonly pending: number }
  readonly conflicts: readonly {
    readonly app: AppId
    readonly kept: RevisionId
    readonly lost: RevisionId
    readonly lostAuthor: string
  }[]
  readonly dns: {
    readonly address: string
    readonly port: number
    readonly domain: string
    /** The domain of Mesos-DNS's names, where there are any. */
    readonly mesosDomain?: string
  }
}

/** An app that may be running where this node does not see it. */
export interface ElsewhereLine {
  readonly app: AppId
  /** With `stop`, a side that is no majority ends the app's tasks by itself. */
  readonly isolated: 'keep' | 'stop'
  readonly slots: readonly {
    readonly slot: SlotId
    /** The name of the missing node that had it. */
    readonly node: string
    /** True when a node that is seen has a task of the slot, too: it may be running twice. */
    readonly alsoSeen: boolean
  }[]
}

/** One line of `GET /v1/apps`. */
export interface AppLine {
  readonly id: AppId
  readonly work: string
  readonly mode: 'replicated' | 'global'
  readonly wanted: number
  /** Slots with a running task. */
  readonly running: number
  /** Slots that clients are sent to. */
  readonly serving: number
  readonly revision: RevisionId
  /** Slots that run the wanted revision. */
  readonly updated: number
}

/** One line of `GET /v1/tasks`: a task, or a slot that has none. */
export interface TaskLine {
  readonly slot: SlotId
  readonly app: AppId
  /** Absent for a slot that has no task. */
  readonly task?: TaskId
  readonly node: string
  readonly nodeVerdict?: VerdictKind | 'unseen'
  /** True when this is only what was known last, because the node does not answer now. */
  readonly lastKnown?: true
  readonly address?: string
  readonly state: TaskState
  readonly health: Health
  readonly revision?: RevisionId
  readonly ports: readonly TaskPort[]
  readonly sinceMs?: number
  readonly message: string
  readonly exitCode?: number
}

/** One line of `GET /v1/nodes`. */
export interface NodeLine {
  readonly node: NodeId
  readonly name: string
  readonly isSelf: boolean
  readonly verdict: VerdictKind | 'unseen'
  readonly sinceMs?: number
  readonly address?: string
  /** What people said it may run. */
  readonly mode: NodeMode
  /** The labels that count: those that people set, and its own where they said nothing. */
  readonly labels: Readonly<Record<string, string>>
  readonly docker: boolean
  readonly capacity?: Capacity
  /** What the tasks there declare, in the same units. */
  readonly used: Capacity
  readonly tasks: number
  readonly version?: string
  readonly leaving: boolean
}

/** `GET /v1/node`: all about one node. */
export interface NodeAnswer extends NodeLine {
  readonly admittedBy: string
  /** By the clock of the node that let it in. */
  readonly admittedAtMs: number
  /** What it says of itself (`shoal up --label`). */
  readonly ownLabels: Readonly<Record<string, string>>
  /** What people say of it (`shoal node label`). */
  readonly setLabels: Readonly<Record<string, string>>
  /** Slots that it says it cannot run for now. */
  readonly refusals: readonly { readonly slot: SlotId; readonly reason: string }[]
  /** Slots that belong on it, and do not run there yet. */
  readonly waits: readonly { readonly slot: SlotId; readonly reason: string }[]
  /** Its tasks, and of those that belong elsewhere now, where, and what that waits for. */
  readonly runs: readonly (TaskLine & {
    readonly movesTo?: string
    readonly waitsFor?: string
  })[]
}

/** One line of `GET /v1/settings`. */
export interface SettingLine {
  readonly name: SettingName
  /** Absent where the default holds. */
  readonly value?: number
  /** What holds where nobody set it, in words. */
  readonly defaultRule: string
  readonly min: number
  readonly max: number
}

/** `GET /v1/apps/ID`. */
export interface AppAnswer {
  readonly id: AppId
  readonly revision: RevisionId
  readonly instances: number
  readonly spec: AppSpec
  readonly names: readonly string[]
  readonly tasks: readonly TaskLine[]
  readonly history: readonly RevisionLine[]
}

/** A revision in an app's history. */
export interface RevisionLine {
  readonly revision: RevisionId
  readonly generation: number
  readonly author: string
  readonly timeMs: number
  readonly message: string
  /** True for one that lost against another made at the same time. */
  readonly lost: boolean
}

/** `POST /v1/apply`: what to apply. */
export interface ApplyRequest {
  readonly files: readonly { readonly name: string; readonly text: string }[]
  readonly dryRun?: boolean
  readonly message?: string
}

/** `POST /v1/apply`: what came of it. Nothing is applied when a problem is an error. */
export interface ApplyAnswer {
  readonly apps: readonly {
    readonly id: AppId
    readonly change: 'created' | 'updated' | 'unchanged'
    readonly revision?: RevisionId
    /** The app that results, in Shoal's own format (dry runs only). */
    readonly manifest?: string
  }[]
  readonly problems: readonly Problem[]
  readonly stored?: Stored
}

/** Where an edit is safe. */
export interface Stored {
  readonly on: readonly string[]
  /** True when no other node confirmed it in time: it is only on this node. */
  readonly onlyHere: boolean
}

/** `POST /v1/scale`, `/v1/node/labels`, `/v1/node/mode`, `/v1/settings`; `DELETE /v1/app`, `/v1/node`. */
export interface EditAnswer {
  readonly changed: boolean
  readonly stored: Stored
}

/** `GET /v1/why`: each slot of an app, and why it is where it is. */
export interface WhyAnswer {
  readonly app: AppId
  readonly slots: readonly {
    readonly slot: SlotId
    readonly state: TaskState
    readonly node: string | undefined
    /** One line that says it all. */
    readonly summary: string
    readonly nodes: readonly {
      readonly name: string
      readonly rank: number
      readonly verdict: 'chosen' | 'eligible' | 'refused'
      readonly reason: string
    }[]
  }[]
}

/** `GET /v1/resolve`. */
export interface ResolveAnswer {
  readonly name: string
  readonly type: string
  readonly status: string
  readonly server: string
  readonly records: readonly {
    readonly section: 'answer' | 'authority' | 'additional'
    readonly name: string
    readonly ttl: number
    readonly type: string
    readonly data: string
    /** Where it comes from, in words: a task, a node, a zone, another server. */
    readonly from: string
  }[]
}

/** `GET /v1/dns/verify`: what every node's DNS server said, against what this node would say. */
export interface VerifyAnswer {
  readonly servers: readonly {
    readonly node: string
    readonly server: string
    readonly answers: number
  }[]
  /** Questions that each server was asked by UDP, and again by TCP. */
  readonly questions: number
  readonly apps: { readonly asked: number; readonly all: number }
  /** Nodes that were not asked, and why. */
  readonly skipped: readonly { readonly node: string; readonly reason: string }[]
  readonly differences: readonly {
    readonly node: string
    readonly server: string
    readonly transport: 'udp' | 'tcp'
    readonly name: string
    readonly type: string
    readonly problem: string
  }[]
}

/** A line of `GET /v1/dns/conflicts`: a name that two things claim. */
export interface NameConflictLine {
  readonly name: string
  /** Who answers to it: an app, or words for something else. */
  readonly kept: string
  readonly lost: readonly string[]
}

/** A line of `GET /v1/logs`. */
export interface LogLine {
  readonly task: TaskId
  readonly stream: 'stdout' | 'stderr'
  readonly text: string
}

/** A line of `GET /v1/events`. */
export interface EventLine {
  readonly timeMs: number
  readonly kind: string
  readonly subject: string
  readonly text: string
  /** Of `healed`: who is back, and what ran on both sides. */
  readonly report?: HealReport<string>
}

/** Every answer that is no success. */
export interface ErrorAnswer {
  /** One line that says what to do. */
  readonly message: string
}
