import { readManifests, type ManifestFile } from '../../src/formats/read-manifest.ts'
import { formatProblem } from '../../src/model/problem.ts'

/** The problems of some files, as the lines that people see. */
export function linesOf(...files: ManifestFile[]): string[] {
  return readManifests(files).problems.map(formatProblem)
}
