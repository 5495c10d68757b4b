import type { AppSpec } from '../model/app.ts'
import type { Problem } from '../model/problem.ts'
import type { CheckedApp } from './check-app.ts'
import { isMap } from './fields.ts'
import { errorAt, PROBLEMS_MAX, show, toProblems, type Finding } from './finding.ts'
import { applyService } from './kubernetes-service.ts'
import { readDeployment, type Deployment } from './kubernetes.ts'
import { importMarathonGroup } from './marathon-group.ts'
import { importMarathonApp, MARATHON_TOP } from './marathon.ts'
import { detect } from './detect.ts'
import { importNative } from './native.ts'
import { parseJson } from './parse-json.ts'
import { parseYaml } from './parse-yaml.ts'
import type { Path } from './path.ts'
import {
  FILE_LENGTH_MAX,
  lineAt,
  toValue,
  type ParsedSource,
  type SourceNode,
} from './source-node.ts'

/** A file that somebody gave us. */
export interface ManifestFile {
  /** As it was given; `-` for standard input. */
  readonly name: string
  readonly text: string
}

/** The apps of some files. Empty unless no problem is an error: nothing is applied in part. */
export interface ManifestResult {
  readonly apps: readonly AppSpec[]
  readonly problems: readonly Problem[]
}

/** A document of a file, as data and with its lines. */
interface Source {
  readonly file: string
  readonly root: SourceNode
  readonly value: unknown
}

/** An app that was found, and where. */
interface Found {
  readonly source: Source
  readonly path: Path
  readonly app: CheckedApp
}

/** A Kubernetes object that waits until all files are read: Services name Deployments of other files. */
interface KubernetesObject {
  readonly source: Source
  readonly path: Path
  readonly value: Readonly<Record<string, unknown>>
}

/** What the reading of all files gathers. */
interface Reading {
  readonly found: Found[]
  readonly objects: KubernetesObject[]
  readonly problems: Problem[]
  failed: boolean
}

/** Most Kubernetes objects of one reading: each Service is held against each Deployment. */
const OBJECTS_MAX = 5_000

/** {@link readManifests} for one file. */
export function readManifest(file: string, text: string): ManifestResult {
  return readManifests([{ name: file, text }])
}

/**
 * Reads the apps of any number of files, each of them JSON or YAML, and each of their
 * documents in Shoal's own format, Marathon's or Kubernetes'. Pure, and never throws:
 * whatever is wrong is listed, with its file, line and path, at most
 * {@link PROBLEMS_MAX} of it. An app that stands twice is an error.
 *
 * Limits: {@link FILE_LENGTH_MAX} per file, and those of `source-node.ts`.
 */
export function readManifests(files: readonly ManifestFile[]): ManifestResult {
  const reading: Reading = { found: [], objects: [], problems: [], failed: false }
  for (const { name, text } of files) readFile(name, text, reading)
  readKubernetes(reading)

  const places = new Map<string, string>()
  for (const { source, path, app } of reading.found) {
    report(reading, source, app.findings)
    if (app.spec === undefined) continue
    const line = lineAt(source.root, path)
    const earlier = places.get(app.spec.id)
    if (earlier === undefined) places.set(app.spec.id, `${source.file}:${line}`)
    else {
      const message = `app ${app.spec.id} stands twice: first at ${earlier}, then here`
      report(reading, source, [errorAt(path, message)])
    }
  }
  if (reading.found.length === 0 && !reading.failed) {
    const file = files[0]?.name ?? ''
    reading.problems.push({ severity: 'error', file, path: '', message: 'has no app in it' })
    reading.failed = true
  }
  const problems = shortened(reading.problems)
  const apps = reading.found.flatMap(({ app }) => (app.spec === undefined ? [] : [app.spec]))
  return { apps: reading.failed ? [] : apps, problems }
}

function readFile(file: string, text: string, reading: Reading): void {
  const { documents, problems } = parse(file, text)
  reading.problems.push(...problems)
  if (problems.length > 0) reading.failed = true
  if (documents.length === 0 && problems.length === 0) {
    const message = 'is empty: must have an app, such as `{id: web, image: web:1}`'
    reading.problems.push({ severity: 'error', file, path: '', message })
    reading.failed = true
  }
  for (const root of documents) {
    readValue({ file, root, value: toValue(root) }, [], undefined, reading)
  }
}

function parse(file: string, text: string): ParsedSource {
  if (text.length > FILE_LENGTH_MAX) {
    const message = `must be at most ${FILE_LENGTH_MAX} characters, got ${text.length}`
    return { documents: [], problems: [{ severity: 'error', file, path: '', message }] }
  }
  // As kubectl does: a text that opens like JSON is JSON, unless its name says otherwise.
  const json = /\.json$/i.test(file) || (!/\.ya?ml$/i.test(file) && /^\uFEFF?\s*[[{]/.test(text))
  return json && /\S/.test(text) ? parseJson(file, text) : parseYaml(file, text)
}

/** Reads what stands at `path` of a document: an app, a list of them, a group, or Kubernetes objects. */
function readValue(source: Source, path: Path, inner: unknown, reading: Reading): void {
  const value = path.length === 0 ? source.value : inner
  const place = { ...MARATHON_TOP, path }
  const detected = detect(value)
  switch (detected.kind) {
    case 'native':
      reading.found.push({ source, path, app: importNative(value, path) })
      return
    case 'marathon':
      reading.found.push({ source, path, app: importMarathonApp(value, source.value, place) })
      return
    case 'marathon-group': {
      const { apps, findings } = importMarathonGroup(value, source.value, place)
      reading.found.push(...apps.map(found => ({ source, ...found })))
      report(reading, source, findings)
      return
    }
    case 'kubernetes':
      readObject(source, path, detected.object, reading)
      return
    case 'list':
      for (const [index, item] of detected.items.entries()) {
        const at = [...path, index]
        if (Array.isArray(item)) {
          report(reading, source, [errorAt(at, 'must be an app, got a list')])
        } else readValue(source, at, item, reading)
      }
      return
    case 'apps':
      readValue(source, [...path, detected.key], detected.apps, reading)
      return
    case 'nothing':
      report(reading, source, [
        errorAt(path, `must be an app, a list of apps or Kubernetes objects, got ${show(value)}`),
      ])
  }
}

function readObject(
  source: Source,
  path: Path,
  value: Readonly<Record<string, unknown>>,
  reading: Reading,
): void {
  const { kind, items } = value
  if (kind === 'Deployment' || kind === 'Service') {
    if (reading.objects.length === OBJECTS_MAX) {
      report(reading, source, [errorAt(path, `must be at most ${OBJECTS_MAX} objects in all`)])
    }
    if (reading.objects.length >= OBJECTS_MAX) return
    reading.objects.push({ source, path, value })
    return
  }
  if (kind !== 'List' && kind !== 'DeploymentList' && kind !== 'ServiceList') {
    const message = `must be Deployment, Service or List, got ${show(kind)}`
    report(reading, source, [errorAt([...path, 'kind'], message)])
    return
  }
  if (!Array.isArray(items)) {
    report(reading, source, [errorAt([...path, 'items'], `must be a list, got ${show(items)}`)])
    return
  }
  for (const [index, item] of items.entries()) {
    const at = [...path, 'items', index]
    if (isMap(item)) readObject(source, at, item, reading)
    else report(reading, source, [errorAt(at, `must be an object, got ${show(item)}`)])
  }
}

/** Deployments first, of all files: then the Services have something to name. */
function readKubernetes(reading: Reading): void {
  const read: { readonly object: KubernetesObject; readonly deployment: Deployment }[] = []
  for (const object of reading.objects.filter(({ value }) => value['kind'] === 'Deployment')) {
    const { source, path, value } = object
    read.push({ object, deployment: readDeployment(value, source.value, path) })
  }
  const deployments = read.map(({ deployment }) => deployment)
  for (const { source, path, value } of reading.objects) {
    if (value['kind'] !== 'Service') continue
    report(reading, source, applyService(value, source.value, path, deployments).findings)
  }
  for (const { object, deployment } of read) {
    reading.found.push({ source: object.source, path: object.path, app: deployment.finish() })
  }
}

function report(reading: Reading, { file, root }: Source, findings: readonly Finding[]): void {
  const errors = findings.filter(({ severity }) => severity === 'error')
  if (errors.length > 0) reading.failed = true
  const room = 10 * PROBLEMS_MAX - reading.problems.length
  const told =
    findings.length <= room
      ? findings
      : [...errors, ...findings.filter(({ severity }) => severity !== 'error')]
  const problems = toProblems(told.slice(0, Math.max(room, 1)), file, path => lineAt(root, path))
  reading.problems.push(...problems.toSorted((one, other) => (one.line ?? 0) - (other.line ?? 0)))
}

/** Each problem once, errors before warnings when there is no room for all. */
function shortened(problems: readonly Problem[]): Problem[] {
  const once = [...new Map(problems.map(problem => [JSON.stringify(problem), problem])).values()]
  if (once.length <= PROBLEMS_MAX) return once
  const errors = once.filter(({ severity }) => severity === 'error')
  const kept = [...errors, ...once.filter(({ severity }) => severity !== 'error')]
  const { severity, file } = kept[PROBLEMS_MAX]!
  const message = `and ${once.length - PROBLEMS_MAX} more problems`
  return [...kept.slice(0, PROBLEMS_MAX), { severity, file, path: '', message }]
}
