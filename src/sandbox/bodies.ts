import { randomUUID } from 'node:crypto'

/** The shapes in which the upstream's generations, and what stands before them, word an error. */
export const ERROR_BODIES = [
  'message-errors',
  'detail-text',
  'detail-list',
  'problem',
  'error-id',
  'embedded-errors',
  'html',
  'empty',
  'message-code',
  'oauth2',
] as const
export type ErrorBody = (typeof ERROR_BODIES)[number]

export type ErrorText = { contentType: string | null; text: string }

const json = (value: unknown, contentType = 'application/json'): ErrorText => ({
  contentType,
  text: JSON.stringify(value),
})

/** One error in the wanted shape. `message` is what a client is meant to dig out of it. */
export function errorBody(
  shape: ErrorBody,
  status: number,
  message: string,
  at: readonly (string | number)[] = ['body'],
): ErrorText {
  switch (shape) {
    case 'message-errors':
      return json({
        message,
        errors: [{ field: at.join('.'), message, error_code: `E${status}` }],
      })
    case 'detail-text':
      return json({ detail: message })
    case 'detail-list':
      return json({ detail: [{ loc: at, msg: message, type: 'value_error' }] })
    case 'problem':
      return json(
        {
          status,
          type: 'https://reference.airbyte.com/reference/errors',
          title: message,
          detail: message,
          data: {},
        },
        'application/problem+json',
      )
    case 'error-id':
      return json({ errorId: randomUUID() })
    case 'embedded-errors':
      return json({ message, _embedded: { errors: [{ message }] } })
    case 'html':
      return {
        contentType: 'text/html; charset=utf-8',
        text: `<!doctype html><html><head><title>${status}</title></head><body><h1>${message}</h1></body></html>`,
      }
    case 'empty':
      return { contentType: null, text: '' }
    case 'message-code':
      return json({ message, code: status })
    case 'oauth2':
      return json({
        error: status === 401 ? 'invalid_client' : 'invalid_request',
        error_description: message,
      })
  }
}
