import { readFile } from 'node:fs/promises'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import type * as Client from '../../src/client/client.js'
import { compact } from '../../src/client/compact.ts'
import { startBroker } from './stand-in-broker.ts'

const source = await readFile(new URL('../../src/client/client.js', import.meta.url), 'utf8')
const served = compact(source)

test('the client travels in less than 3 kB', () => {
  const gzip = gzipSync(served, { level: 9 }).length
  const brotli = brotliCompressSync(served).length
  console.log(`client.js: ${served.length} bytes, ${gzip} with gzip, ${brotli} with brotli`)

  expect(gzip).toBeLessThan(3000)
  expect(brotli).toBeLessThan(3000)
})

test('what travels is the same program', async () => {
  const broker = await startBroker()
  const module: typeof Client = await import(
    `data:text/javascript;base64,${Buffer.from(served).toString('base64')}`
  )
  const client = module.createTokenClient({ url: broker.url, customerId: 'c', credential: 'key' })
  onTestFinished(() => client.close())

  expect(await client.getToken()).toBe('token-1')
  expect(Object.keys(module).sort()).toEqual(['TokenError', 'createTokenClient'])
})

test('nothing is kept where another page or the next visit finds it', () => {
  expect(served).not.toMatch(/localStorage|sessionStorage|indexedDB|document\.cookie|caches/)
})

test('compacting takes comments and indentation alone', () => {
  const before =
    "// why\n/** @type {any} */\nlet a = '// not a comment'\n  const b = /** @type {any} */ (a)\n"

  expect(compact(before)).toBe("let a = '// not a comment'\nconst b = (a)\n")
})
