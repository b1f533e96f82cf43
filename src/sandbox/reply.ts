import { type ErrorBody, errorBody } from './bodies.ts'

/** What is going to be sent, before a fault gets its hands on it. */
export type Reply = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export const jsonReply = (
  status: number,
  value: unknown,
  headers: Record<string, string> = {},
): Reply => ({
  status,
  headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers },
  body: JSON.stringify(value),
})

export function errorReply(
  shape: ErrorBody,
  status: number,
  message: string,
  options: { at?: readonly (string | number)[]; headers?: Record<string, string> } = {},
): Reply {
  const { contentType, text } = errorBody(shape, status, message, options.at)
  return {
    status,
    headers: { ...(contentType ? { 'content-type': contentType } : {}), ...options.headers },
    body: text,
  }
}
