import { readFile, writeFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { OpenApi, postmanCollection, postmanEnvironment } from './postman-collection.ts'

const file = (path: string) => new URL(`../${path}`, import.meta.url)

const document = OpenApi.parse(parse(await readFile(file('openapi.yaml'), 'utf8')))
const write = (name: string, value: unknown) =>
  writeFile(file(`examples/postman/${name}.json`), `${JSON.stringify(value, null, 2)}\n`)

await write('token-broker.postman_collection', postmanCollection(document))
await write('token-broker.postman_environment', postmanEnvironment(document.info.title))
