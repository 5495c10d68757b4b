/**
 * `npm run demo`: three daemons on this machine, an app, its names, and one daemon
 * killed. Ends by itself with exit 0, or with 1 and what did not hold.
 *
 * `npm run demo -- --keep` leaves the cluster up and prints the commands to try.
 *
 * @module
 */

import { join } from 'node:path'
import { engineAnswers } from './testbed/engine-api.ts'
import { DemoCluster } from './demo/demo-cluster.ts'
import { fetchAll, lookUp } from './demo/client.ts'
import { killWithTasks } from './demo/kill-with-tasks.ts'
import { loadDemoImage } from './demo/demo-image.ts'
import { say, step } from './demo/say.ts'

const DOCKER_SOCKET = '/var/run/docker.sock'
const EXAMPLES = join(import.meta.dirname, '../examples')
const HEAL_MS = 30_000

const keep = process.argv.includes('--keep')
process.exitCode = await main()

async function main(): Promise<number> {
  const startedMs = performance.now()
  const cluster = await DemoCluster.create()
  const onSignal = (): void => void cluster.close().then(() => process.exit(130))
  process.once('SIGINT', onSignal)
  process.once('SIGTERM', onSignal)
  try {
    const engine = (await engineAnswers(DOCKER_SOCKET)) ? DOCKER_SOCKET : undefined
    const { victim, app } = await play(cluster, engine)
    say(`\nEverything held, in ${((performance.now() - startedMs) / 1000).toFixed(0)} s.`)
    if (keep) {
      await cluster.restart(victim)
      say(`${cluster.nameOf(victim)} is back.`)
      cluster.explain(app)
      cluster.release()
    } else {
      await cluster.close()
      say('Nothing is left running.')
    }
    return 0
  } catch (error) {
    say(`\nThe demo did not hold: ${error instanceof Error ? error.message : String(error)}`)
    await cluster.close()
    return 1
  }
}

/** Plays everything, and gives the daemon that died and the app that was healed. */
async function play(
  cluster: DemoCluster,
  engine: string | undefined,
): Promise<{ readonly victim: number; readonly app: string }> {
  step('Three identical daemons, none of them a master; the second and third join with a token.')
  await cluster.start(engine ?? 'none')
  say(await cluster.shoal(0, ['node', 'ls']))

  const app = engine === undefined ? 'hello' : 'marathon-demo-application'
  if (engine === undefined) {
    step('No Docker engine here: the hello app runs as a plain command, three times.')
    say(await cluster.shoal(0, ['apply', '-f', join(EXAMPLES, 'hello-process.json'), '--wait']))
    step('A Kubernetes file is taken, too. Its slots need Docker, and say so:')
    say(await cluster.shoal(1, ['apply', '-f', join(EXAMPLES, 'hello-kubernetes.yaml')]))
    const why = await cluster.shoal(2, ['why', 'hello-world'])
    say(why)
    if (!why.includes('no Docker engine'))
      throw new Error('`shoal why` does not say that Docker is missing')
  } else {
    step(
      'A Docker engine: the Marathon and the Kubernetes file of the tutorial, each from another node.',
    )
    await loadDemoImage(engine)
    say(await cluster.shoal(0, ['apply', '-f', join(EXAMPLES, 'hello-marathon.json'), '--wait']))
    say(await cluster.shoal(1, ['apply', '-f', join(EXAMPLES, 'hello-kubernetes.yaml'), '--wait']))
  }
  say(await cluster.shoal(2, ['ps']))

  step('Any node answers DNS: where the instances are, with their real ports.')
  const found = await lookUp(cluster.dnsOf(1), app)
  for (const { line } of found) say(line)
  step('And there they are, over HTTP:')
  for (const line of await fetchAll(found)) say(line)

  const { victim, others } = await cluster.pickVictim(app)
  step(`${cluster.nameOf(victim)} dies: its daemon and its tasks are killed with SIGKILL.`)
  const killedMs = performance.now()
  await killWithTasks(cluster.pidOf(victim), cluster.nodeOf(victim), engine)
  const [witness = 0] = others
  await cluster.untilServing(witness, app, cluster.nameOf(victim), HEAL_MS)
  const healed = await cluster.untilResolved(others, app, HEAL_MS)
  const seconds = (performance.now() - killedMs) / 1000
  say(await cluster.shoal(witness, ['ps', app]))
  for (const { line } of healed) say(line)
  for (const line of await fetchAll(healed)) say(line)
  say(
    `Healed: all slots serve again, and DNS says so on every survivor, ${seconds.toFixed(1)} s after the kill.`,
  )
  say(await cluster.shoal(witness, ['status']))
  return { victim, app }
}
