import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { expect } from 'vitest'
import { tokenReply } from '../stand-in-broker.ts'
import { browserForFile, browserTest } from './chromium.ts'
import { pageSays } from './demo.ts'

const browser = browserForFile()

/** React comes as CommonJS alone, so its files are put into functions, as a bundler would. */
async function reactForBrowsers(): Promise<string> {
  const { resolve } = createRequire(import.meta.url)
  const files = {
    react: 'react/cjs/react.production.js',
    'react-dom': 'react-dom/cjs/react-dom.production.js',
    'react-dom/client': 'react-dom/cjs/react-dom-client.production.js',
    scheduler: 'scheduler/cjs/scheduler.production.js',
  }
  const modules = await Promise.all(
    Object.entries(files).map(async ([name, file]) => {
      const packageJson = resolve(`${file.split('/')[0]}/package.json`)
      const source = await readFile(new URL(file.replace(/^[^/]+\//, ''), `file://${packageJson}`))
      return `${JSON.stringify(name)}: (module, exports, require) => {${source}\n}`
    }),
  )
  return `const sources = {${modules.join(',\n')}}
    const loaded = {}
    const require = (name) => {
      if (!loaded[name]) sources[name]((loaded[name] = { exports: {} }), loaded[name].exports, require)
      return loaded[name].exports
    }
    export const { useCallback, useSyncExternalStore, createElement } = require('react')
    export const { createRoot } = require('react-dom/client')`
}

const PAGE = `<!doctype html>
<script type="importmap">{ "imports": { "react": "/react.js" } }</script>
<div id="root"></div>
<script type="module">
  import { createElement, createRoot } from 'react'
  import { createTokenClient } from '/client.js'
  import { useToken } from '/use-token.js'

  window.client = createTokenClient({ url: location.origin, customerId: 'c', credential: 'key' })
  window.drawn = 0
  const Show = () => {
    window.drawn += 1
    return createElement('p', null, useToken(client)?.token ?? 'none')
  }
  window.root = createRoot(document.getElementById('root'))
  root.render(createElement(Show))
</script>`

async function startPage() {
  const client = (name: string) => readFile(new URL(`../../../src/client/${name}`, import.meta.url))
  const files: Record<string, [type: string, body: string | Buffer]> = {
    '/': ['text/html', PAGE],
    '/react.js': ['text/javascript', await reactForBrowsers()],
    '/client.js': ['text/javascript', await client('client.js')],
    '/use-token.js': ['text/javascript', await client('react.js')],
  }
  let minted = 0
  const server = createServer(({ url = '/' }, response) => {
    const [type, body] = files[url] ?? []
    if (type) return response.writeHead(200, { 'content-type': type }).end(body)
    if (!url.startsWith('/customers/')) return response.writeHead(404).end()
    minted += 1
    response.writeHead(200, { 'content-type': 'application/json' })
    return response.end(JSON.stringify(tokenReply(`token-${minted}`, { lifeS: 3 })))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    url: `http://127.0.0.1:${address.port}/`,
    minted: () => minted,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

browserTest(
  'useToken shows each token, and asks for none once nobody looks',
  async ({ onTestFinished }) => {
    const served = await startPage()
    onTestFinished(served.close)
    const page = await browser().newPage()
    await page.goto(served.url)
    const shows = (text: string) => `document.getElementById('root').textContent === '${text}'`

    await pageSays(page, shows('token-2'))
    const drawn = await page.evaluate('drawn')
    await page.evaluate('root.unmount()')
    const minted = served.minted()
    await page.waitForTimeout(4000)

    // Without a token, with the first, with the second: nothing else makes the component draw.
    expect(drawn).toBe(3)
    expect(served.minted()).toBe(minted)
  },
  30_000,
)
