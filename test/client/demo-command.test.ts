import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const TIME = 60_000

/** `npm run demo`, and what it has printed so far. */
function startDemo() {
  const child = spawn(process.execPath, ['demo/run.mjs'], { cwd: root, stdio: 'pipe' })
  onTestFinished(() => void child.kill('SIGTERM'))
  let printed = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      printed += chunk.toString()
    })
  const ended = once(child, 'exit')
  return {
    child,
    ended,
    printed: () => printed,
    async says(what: RegExp) {
      while (!what.test(printed)) {
        const more = Promise.race([once(child.stdout, 'data'), once(child.stderr, 'data'), ended])
        await more
        if (child.exitCode !== null) throw new Error(`The demo ended: ${printed}`)
      }
      return what.exec(printed) ?? []
    },
  }
}

/** Nobody else may have the demo's favourite port; whether it was free before does not matter. */
async function occupy(port: number) {
  const server = createServer()
  server.listen(port, '127.0.0.1')
  await Promise.race([once(server, 'listening'), once(server, 'error').then(() => {})]).catch(
    () => {},
  )
  onTestFinished(() => void server.close())
}

test(
  'the printed curl gets a token, a taken port is told of, and Ctrl-C ends everything',
  async () => {
    await occupy(8080)
    const demo = startDemo()

    const [, key = '', url = ''] = await demo.says(
      /curl -s -H 'Authorization: Bearer (\S+)' (http:\S+)/,
    )
    const [, page = ''] = await demo.says(/Open this page\s+(http:\S+)/)
    const response = await fetch(url, { headers: { authorization: `Bearer ${key}` } })
    const reply: unknown = await response.json()
    const html = await (await fetch(page)).text()

    expect(demo.printed()).toMatch(/Port 8080 is taken: The broker is on \d+ instead/)
    expect(response.status).toBe(200)
    expect(reply).toMatchObject({
      token: expect.stringMatching(/^ey/),
      expires_at: expect.stringMatching(/Z$/),
      workspace_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    })
    expect(html).toContain('Connect your data')

    demo.child.kill('SIGINT')
    expect(await demo.ended).toEqual([0, null])
    await expect(fetch(url)).rejects.toThrow()
    await expect(fetch(page)).rejects.toThrow()
  },
  TIME,
)
