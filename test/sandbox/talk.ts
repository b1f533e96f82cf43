import { onTestFinished } from 'vitest'
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts'
import type { SandboxChange } from '../../src/sandbox/settings.ts'

export const PATHS = {
  guide: '/api/v1/embedded',
  applications: '/api/v1/account/applications',
} as const

export async function sandboxWith(change: SandboxChange = {}): Promise<Sandbox> {
  const sandbox = await startSandbox(change)
  onTestFinished(() => sandbox.close())
  return sandbox
}

export type Answer = {
  status: number
  headers: Headers
  text: string
  json: Record<string, unknown>
}

export async function ask(
  sandbox: Sandbox,
  path: string,
  init: { json?: unknown; form?: Record<string, string>; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const { json, form, headers = {} } = init
  const response = await fetch(sandbox.url + path, {
    redirect: 'manual',
    signal: AbortSignal.timeout(5000),
    ...(json === undefined && !form ? {} : { method: 'POST' }),
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    ...(form ? { body: new URLSearchParams(form) } : {}),
    headers: { ...(json === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, json: objectIn(text) }
}

function objectIn(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}

/** A mint with the static org token, unless another is given. */
export const mint = (
  sandbox: Sandbox,
  path: string,
  json: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> =>
  ask(sandbox, path, {
    json,
    headers: { authorization: `Bearer ${sandbox.orgToken}`, ...headers },
  })

export const scopedFor = (sandbox: Sandbox, customer: string): Promise<Answer> =>
  mint(sandbox, `${PATHS.guide}/scoped-token`, { external_id: customer })

export const bearer = (token: unknown) => ({ authorization: `Bearer ${String(token)}` })

export const claimsOf = (token: unknown): Record<string, unknown> =>
  objectIn(Buffer.from(String(token).split('.')[1] ?? '', 'base64url').toString())
