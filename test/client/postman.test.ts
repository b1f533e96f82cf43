import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { startDemo } from '../../demo/demo.ts'
import { OpenApi, postmanCollection, postmanEnvironment } from '../../demo/postman-collection.ts'

const place = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const readJson = async (path: string): Promise<unknown> =>
  JSON.parse(await readFile(place(path), 'utf8'))

const COLLECTION = 'examples/postman/token-broker.postman_collection.json'
const ENVIRONMENT = 'examples/postman/token-broker.postman_environment.json'
const newman = place('node_modules/newman/bin/newman.js')

test('the collection is what openapi.yaml makes it', async () => {
  const document = OpenApi.parse(parse(await readFile(place('openapi.yaml'), 'utf8')))

  // If not: npm run openapi
  expect(await readJson(COLLECTION)).toEqual(
    JSON.parse(JSON.stringify(postmanCollection(document))),
  )
  expect(await readJson(ENVIRONMENT)).toEqual(postmanEnvironment(document.info.title))
})

test('every request of the collection is answered as it says', async () => {
  const demo = await startDemo({
    ports: { page: 0, airbyte: 0, broker: 0 },
    tokenLifeMs: 60_000,
    broker: { LOG_LEVEL: 'error' },
  })
  onTestFinished(demo.close)
  const values = {
    broker_url: demo.brokerUrl,
    service_key: demo.serviceKey,
    airbyte_url: demo.sandbox.url,
    client_id: demo.sandbox.clientId,
    client_secret: demo.sandbox.clientSecret,
    page_origin: new URL(demo.pageUrl).origin,
  }

  const ran = await promisify(execFile)(process.execPath, [
    newman,
    'run',
    place(COLLECTION),
    '--environment',
    place(ENVIRONMENT),
    ...Object.entries(values).flatMap(([name, value]) => ['--env-var', `${name}=${value}`]),
  ]).catch((error: { stdout: string }) => error)

  expect(ran.stdout).toMatch(/assertions[ │]+(\d+)[ │]+0 │/)
}, 60_000)
