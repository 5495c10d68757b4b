import type { AppSpec } from './app.ts'
import type { AppId, NodeId, RevisionId } from './ids.ts'
import type { NodeMode } from './node-admin.ts'
import type { ClusterSettings, SettingName } from './settings.ts'

/** One immutable, whole version of an app, signed by the node it was made on. */
export interface Revision {
  readonly id: RevisionId
  readonly app: AppId
  /** The revision that the author saw; nothing for an app's first. */
  readonly parent?: RevisionId
  /** One more than the parent's; counts from 1. */
  readonly generation: number
  readonly spec: AppSpec
  readonly author: NodeId
  /** Milliseconds since 1970 by the author's clock. Shown to people; decides nothing. */
  readonly timeMs: number
  /** Why, in the author's words. May be empty. */
  readonly message: string
  /** Ed25519 over the revision's canonical bytes, by the author's node key; base64. */
  readonly signature: string
}

/** An app as the document has it now. */
export interface DesiredApp {
  readonly id: AppId
  readonly spec: AppSpec
  readonly revision: RevisionId
  /** What is wanted now: the scale key where there is one, else the spec's `instances`. */
  readonly instances: number
  readonly generation: number
}

/** A node that may take part in the cluster, and what people say of it. */
export interface Admission {
  readonly node: NodeId
  readonly name: string
  /** Who let it in; itself for the first. */
  readonly by: NodeId
  /** Milliseconds since 1970 by the inviter's clock, for people. */
  readonly timeMs: number
  /** What people labelled it. To placement, each counts before a label of the same key in the node's own record. */
  readonly labels: Readonly<Record<string, string>>
  readonly mode: NodeMode
}

/** A revision that lost against another made at the same time. Kept in the history, and reported. */
export interface Conflict {
  readonly app: AppId
  readonly kept: RevisionId
  readonly lost: RevisionId
  readonly lostAuthor: NodeId
}

/** The desired state as plain data, read from the document. */
export interface Desired {
  readonly apps: ReadonlyMap<AppId, DesiredApp>
  readonly nodes: ReadonlyMap<NodeId, Admission>
  readonly settings: ClusterSettings
}

/** What an author asks for. Applied whole or not at all. */
export type Edit =
  | { readonly kind: 'apply'; readonly specs: readonly AppSpec[]; readonly message: string }
  | { readonly kind: 'scale'; readonly app: AppId; readonly instances: number }
  | { readonly kind: 'remove'; readonly app: AppId }
  | { readonly kind: 'admit'; readonly node: NodeId; readonly name: string }
  | { readonly kind: 'expel'; readonly node: NodeId }
  /** Each key is set or unset on its own. Unset, a label that the node itself declares shows again. */
  | {
      readonly kind: 'label'
      readonly node: NodeId
      readonly set: Readonly<Record<string, string>>
      readonly unset: readonly string[]
    }
  | { readonly kind: 'mode'; readonly node: NodeId; readonly mode: NodeMode }
  /** Settings that are not named stay as they are. */
  | {
      readonly kind: 'settings'
      readonly set: Readonly<Partial<Record<SettingName, number | 'default'>>>
    }
