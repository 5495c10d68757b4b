import type { Fields } from './fields.ts'
import { show } from './finding.ts'

/**
 * Reads the mounts of a pod's one container. A host path is mounted. An empty
 * directory needs no volume: with one container to a pod it is the container's own
 * writable layer, which lives as long. Any other kind is an error, because a task
 * that does not find its files misbehaves later and elsewhere.
 */
export function readVolumes(pod: Fields, container: Fields): void {
  const { draft } = pod
  const volumes = new Map<string, Fields>()
  for (const volume of pod.maps('volumes') ?? []) {
    const name = volume.text('name')
    if (name === undefined) draft.error(volume.at('name'), 'must be text, got nothing')
    else volumes.set(name, volume)
  }
  let count = 0
  for (const mount of container.maps('volumeMounts') ?? []) {
    const name = mount.text('name')
    const target = mount.text('mountPath')
    const readOnly = mount.flag('readOnly') ?? false
    const below = mount.text('subPath')
    mount.carry('mountPropagation', 'mounts are private')
    mount.rest()
    const volume = volumes.get(name ?? '')
    if (volume === undefined) {
      draft.error(mount.at('name'), `must name one of the pod’s volumes, got ${show(name)}`)
      continue
    }
    const kind = volume.keys().find(key => key !== 'name')
    if (kind === 'emptyDir') {
      draft.carry(
        mount.path,
        mount.whole(),
        `is not mounted: ${target ?? 'it'} is a folder of the container itself, which the image must have`,
      )
      continue
    }
    if (kind !== 'hostPath') {
      const rule = 'must be hostPath or emptyDir: other kinds of volumes are not supported'
      draft.error(volume.path, `${rule}, got ${show(kind)}`)
      volume.whole()
      continue
    }
    const host = volume.map('hostPath')
    const source = host?.text('path')
    const folder = source?.replace(/\/$/, '')
    const at = ['volumes', count++]
    draft.put(at, {}, mount.path)
    draft.put(
      [...at, 'source'],
      below === undefined ? source : `${folder}/${below}`,
      volume.at('hostPath'),
    )
    draft.put([...at, 'target'], target, mount.at('mountPath'))
    draft.put([...at, 'readOnly'], readOnly, mount.at('readOnly'))
    host?.carry('type', host.get('type') === '' ? undefined : 'the kind of the path is not checked')
    host?.rest()
    volumes.get(name!)!.rest()
  }
  for (const volume of volumes.values()) {
    for (const kind of ['emptyDir', 'hostPath']) {
      if (volume.get(kind) !== undefined) draft.carry(volume.at(kind), volume.get(kind))
    }
    volume.rest()
  }
}
