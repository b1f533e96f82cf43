import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { LightMyRequestResponse } from 'fastify'
import { expect } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'

const Operation = z.looseObject({
  responses: z.record(
    z.string(),
    z.looseObject({
      content: z.record(z.string(), z.object({ schema: z.unknown() })).optional(),
    }),
  ),
})

const Document = z.looseObject({
  paths: z.record(z.string(), z.record(z.string(), Operation)),
  components: z.looseObject({ schemas: z.record(z.string(), z.unknown()) }),
})

/** The committed description of the service. */
export function readOpenapi() {
  const file = new URL('../../openapi.yaml', import.meta.url)
  return Document.parse(parse(readFileSync(file, 'utf8')))
}

/** Fails when a reply is not one that `openapi.yaml` promises for the operation. */
export type Conforms = (method: string, path: string, reply: LightMyRequestResponse) => void

export function createConformity(): Conforms {
  const document = readOpenapi()
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  addFormats.default(ajv)
  ajv.addSchema({ $id: 'openapi', ...document })

  return (method, path, reply) => {
    const operation = document.paths[path]?.[method.toLowerCase()]
    const response = operation?.responses[String(reply.statusCode)]
    const what = `${method} ${path} -> ${reply.statusCode}`
    if (!response) return expect.unreachable(`${what} is not in openapi.yaml`)

    const contentType = String(reply.headers['content-type'] ?? '').split(';', 1)[0] ?? ''
    if (!response.content) {
      expect(reply.body, `${what} has no body`).toBe('')
      return
    }
    if (!response.content[contentType])
      return expect.unreachable(`${what} is not said to be ${contentType}`)
    const pointer = [
      'paths',
      path,
      method.toLowerCase(),
      'responses',
      reply.statusCode,
      'content',
      contentType,
      'schema',
    ]
      .map((part) => encodeURIComponent(String(part).replaceAll('~', '~0').replaceAll('/', '~1')))
      .join('/')
    const isValid = ajv.validate(`openapi#/${pointer}`, reply.json())
    expect(isValid ? [] : ajv.errors, what).toEqual([])
  }
}
