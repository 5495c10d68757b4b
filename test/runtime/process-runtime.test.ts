import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { startProcessRuntime } from '../../src/runtime/process-runtime.ts'
import { testRuntime, type Role } from './conformance.ts'

const COMMANDS: Readonly<Record<Role, string>> = {
  obeys: "trap 'exit 7' TERM; echo ready; sleep 1000 & wait",
  ignores: "trap '' TERM; echo ready; while :; do sleep 1000; done",
  ends: 'exit 3',
  prints: 'echo one; echo oops >&2; echo two; echo three',
  'goes on': 'echo early; sleep 0.3; echo late',
}

const dir = mkdtempSync(join(tmpdir(), 'shoal-process-'))
t.teardown(() => rmSync(dir, { recursive: true, force: true }))

t.test('process runtime: conformance', async t => {
  testRuntime(t, {
    open: cluster => startProcessRuntime({ dir, cluster }),
    app: role => ({ command: COMMANDS[role] }),
    impossible: { app: { command: ['no-such-program'] }, code: 'bad-spec' },
    commands: { exits4: ['sh', '-c', 'exit 4'], hangs: 'sleep 1000' },
  })
})
