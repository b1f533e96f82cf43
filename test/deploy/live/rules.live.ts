import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const run = promisify(execFile)
const folder = new URL('../../../deploy/prometheus/', import.meta.url)

const promtool = (...args: readonly string[]) =>
  run('promtool', [...args], { cwd: folder }).then(
    ({ stdout, stderr }) => stdout + stderr,
    (error: unknown) => {
      throw new Error('promtool refuses, or is not there: apt-get install prometheus', {
        cause: error,
      })
    },
  )

test('Prometheus accepts the rules and its configuration', async () => {
  expect(await promtool('check', 'config', 'prometheus.yml')).toContain('SUCCESS')
})

test('each alert fires when it should, and does not when it should not', async () => {
  expect(await promtool('test', 'rules', 'rules.test.yml')).toContain('SUCCESS')
})
